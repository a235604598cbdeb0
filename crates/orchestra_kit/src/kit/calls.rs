//! The kit as the Melody engine sees it: targets by number.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use component::State;
use ipc::{CallOptions, Payload};

use super::extensions::{Inner, Kit};
use crate::KitError;
use crate::extension::ExtensionHandle;
use crate::host::{Kind, Way};
use crate::manifest::{Execution, Member};
use crate::melody::engine::{Call, CallDone, Calls, Target};

/// How many calls of a Pit member may wait for a worker.
const MEMBER_ROOM: usize = 256;

/// Under which name Melodies have their share of the workers; no extension is called so.
const MELODIES: &str = "";

/// Members are numbered down from here, extensions up from zero.
const MEMBERS: u32 = u32::MAX;

fn member(target: Target) -> Option<Member> {
    let place = MEMBERS.checked_sub(target.id)?;
    Member::ALL.get(usize::try_from(place).ok()?).copied()
}

impl Inner {
    fn target(&self, target: Target) -> Option<ExtensionHandle> {
        self.at(target.id)
    }
}

impl Calls for Kit {
    fn resolve(&self, call: &str) -> Option<Target> {
        let (name, _) = call.split_once('.')?;
        if let Some(member) = Member::parse(name) {
            let place = Member::ALL.iter().position(|known| *known == member)?;
            let id = MEMBERS - u32::try_from(place).ok()?;
            return self.inner.members().has(member).then_some(Target { id, in_process: true });
        }
        let id = *self.inner.numbers.get(name)?;
        let extension = self.inner.at(id)?;
        let in_process = extension.manifest().execution == Execution::Pit;
        Some(Target { id, in_process })
    }

    fn room(&self, target: Target) -> usize {
        match self.inner.target(target) {
            Some(extension) => extension.room(),
            None => MEMBER_ROOM,
        }
    }

    fn submit(&self, target: Target, call: Call) {
        let Call { id, operation, inputs, deadline, priority, done } = call;
        if let Some(member) = member(target) {
            return self.submit_to_member(id, (member, &operation), inputs, deadline, done);
        }
        let Some(extension) = self.inner.target(target) else {
            return done(Err(KitError::UnknownOperation { call: operation.to_string() }));
        };
        let priority = i32::try_from(priority.clamp(i32::MIN.into(), i32::MAX.into()));
        let (priority, caller) = (priority.unwrap_or_default(), Some(self.inner.engine));
        let options = CallOptions { deadline, priority, caller };
        let inner = Arc::downgrade(&self.inner);
        // Entered first: the outcome may come before `submit` is back, and takes it out.
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let outcome = Box::new(move |outcome: Result<Payload, crate::error::ExtensionError>| {
            told.store(true, Ordering::Release);
            if let Some(inner) = inner.upgrade() {
                inner.calls.lock().remove(&id);
            }
            done(outcome.map_err(KitError::from));
        });
        let sent = extension.submit(&operation, &inputs, &options, outcome);
        let mut calls = self.inner.calls.lock();
        if !over.load(Ordering::Acquire) {
            calls.insert(id, Way::Called(sent));
        }
    }

    fn cancel(&self, _: Target, id: u64) {
        let call = self.inner.calls.lock().remove(&id);
        if let Some(call) = call {
            call.cancel();
        }
    }

    fn is_cold(&self, target: Target) -> bool {
        self.inner.target(target).is_some_and(|extension| extension.state() != State::Ready)
    }
}

impl Kit {
    /// What cannot wait is called at once, on this thread; what waits for others waits on none; the rest on a worker.
    fn submit_to_member(
        &self,
        id: u64,
        (member, operation): (Member, &Arc<str>),
        inputs: Payload,
        deadline: Option<std::time::Instant>,
        done: CallDone,
    ) {
        let members = self.inner.members();
        if members.waits_for_others(member, operation) {
            let (inner, over) = (Arc::downgrade(&self.inner), Arc::new(AtomicBool::new(false)));
            let told = Arc::clone(&over);
            let answer = Box::new(move |outcome| {
                told.store(true, Ordering::Release);
                if let Some(inner) = inner.upgrade() {
                    inner.calls.lock().remove(&id);
                }
                done(outcome);
            });
            let called = (member, &**operation);
            if let Some(call) = self.inner.begin_waiting(None, called, &inputs, deadline, answer) {
                let mut calls = self.inner.calls.lock();
                if !over.load(Ordering::Acquire) {
                    calls.insert(id, Way::Waiting(call));
                }
            }
            return;
        }
        let takes_long = members.may_wait(member, operation, &inputs)
            || members.reads_much(member, operation, &inputs);
        if !takes_long {
            return done(members.call(member, operation, &inputs, deadline));
        }
        let operation = Arc::clone(operation);
        let done = Arc::new(parking_lot::Mutex::new(Some(done)));
        let telling = Arc::clone(&done);
        let job = move || {
            let outcome = members.call(member, &operation, &inputs, deadline);
            if let Some(done) = telling.lock().take() {
                done(outcome);
            }
        };
        if self.inner.shares.run(&self.inner.workers, MELODIES, Kind::Long, job).is_err()
            && let Some(done) = done.lock().take()
        {
            done(Err(KitError::Overloaded { what: member.as_str() }));
        }
    }
}
