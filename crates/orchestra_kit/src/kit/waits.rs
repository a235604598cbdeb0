//! Calls of the Pit that wait for others: on no thread, until they are answered, cancelled or out of time.
//!
//! Called for guests and for Melodies. Invariant: what was set up for one is gone when it has its answer.

use std::sync::Arc;
use std::time::Instant;

use ipc::Payload;
use parking_lot::Mutex;

use super::extensions::Inner;
use crate::KitError;
use crate::extension::Alarm;
use crate::manifest::Member;
use crate::operations::{Answer, Holdings, WaitingCall};

/// The alarm of one call.
enum Ringing {
    NotYet,
    Set(Alarm),
    /// It has its answer.
    Over,
}

impl Inner {
    /// Begins an operation that waits for others and has its time kept. None: it has its answer.
    pub(super) fn begin_waiting(
        &self,
        holdings: Option<&Arc<Holdings>>,
        (member, operation): (Member, &str),
        inputs: &Payload,
        deadline: Option<Instant>,
        answer: Answer,
    ) -> Option<WaitingCall> {
        let ringing = Arc::new(Mutex::new(Ringing::NotYet));
        let (over, timer) = (Arc::clone(&ringing), Arc::downgrade(self.hosts.timer()));
        let answer = Box::new(move |outcome: Result<Payload, KitError>| {
            let set = std::mem::replace(&mut *over.lock(), Ringing::Over);
            if let (Ringing::Set(alarm), Some(timer)) = (set, timer.upgrade()) {
                timer.cancel(alarm);
            }
            answer(outcome);
        });
        let members = self.members();
        let call = members.begin(holdings, member, operation, inputs, deadline, answer)?;
        let timer = Arc::downgrade(self.hosts.timer());
        call.keep_time_by(move |at, look| {
            let set = timer
                .upgrade()
                .map(|timer| timer.after(at.saturating_duration_since(Instant::now()), look));
            let timer = timer.clone();
            Box::new(move || {
                if let (Some(alarm), Some(timer)) = (set, timer.upgrade()) {
                    timer.cancel(alarm);
                }
            })
        });
        if let Some(until) = call.until {
            let mut ringing = ringing.lock();
            if matches!(*ringing, Ringing::NotYet) {
                let late = call.clone();
                let left = until.saturating_duration_since(Instant::now());
                *ringing = Ringing::Set(self.hosts.timer().after(left, move || late.time_out()));
            }
        }
        Some(call)
    }
}
