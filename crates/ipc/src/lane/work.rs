//! What reading a lane leaves to be done outside of its locks: calls into user code.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::call::Done;
use super::inbound::InboundRequest;
use super::{Core, Side, count};
use crate::error::{CallError, Closed, RemoteFailure};
use crate::frame::{Header, Kind};
use crate::handshake::{Hello, Refused, Welcome};
use crate::hooks::{self, Hook};
use crate::payload::Payload;

pub(super) enum Work {
    Done(Done, Result<Payload, CallError>),
    /// Readers and writers of streams that are to look again.
    Wake(Vec<Hook>),
    Request(InboundRequest),
    Cancelled(u64),
    Hello(Hello),
    Ready,
    Failed(RemoteFailure),
    Publish(String, Payload),
    Subscribe(String),
    Unsubscribe(String),
    Dropped(String, u64),
    Stopped,
    Closed(Closed),
}

impl Work {
    /// What an event holds that waits to be told; everything else is told, whatever it weighs.
    fn weight(&self) -> usize {
        match self {
            Self::Publish(topic, value) => topic.len() + value.size() + size_of::<Self>(),
            _ => 0,
        }
    }
}

/// Work that must be done in order; whoever finds it idle does it all.
#[derive(Default)]
pub(super) struct Inbox {
    queue: VecDeque<Work>,
    /// What the events in it hold.
    bytes: usize,
    running: bool,
}

impl Core {
    /// Does what a reading left to do. Nothing of the lane is held.
    pub(super) fn perform(self: &Arc<Self>, work: Vec<Work>) {
        let mut in_order = false;
        for item in work {
            match item {
                Work::Done(done, result) => self.guarded(|| done(result)),
                Work::Wake(hooks) => self.guarded(|| hooks::call(hooks)),
                Work::Request(request) if self.side == Side::Host => {
                    self.guarded(|| self.handler.request(&self.lane(), request));
                }
                Work::Cancelled(correlation) => {
                    self.guarded(|| self.handler.cancelled(&self.lane(), correlation));
                }
                item => {
                    let mut inbox = self.inbox.lock();
                    let weight = item.weight();
                    if weight > 0 && inbox.bytes > 0 && inbox.bytes + weight > self.in_limit {
                        // Whoever tells them does not keep up, and an event may be lost.
                        count(&self.counters.dropped, 1);
                        continue;
                    }
                    inbox.bytes += weight;
                    inbox.queue.push_back(item);
                    in_order = true;
                }
            }
        }
        if in_order {
            self.drain();
        }
    }

    fn drain(self: &Arc<Self>) {
        if std::mem::replace(&mut self.inbox.lock().running, true) {
            return;
        }
        loop {
            let item = {
                let mut inbox = self.inbox.lock();
                let item = inbox.queue.pop_front();
                inbox.running = item.is_some();
                inbox.bytes -= item.as_ref().map_or(0, Work::weight);
                item
            };
            let Some(item) = item else { return };
            self.guarded(|| self.tell(item));
        }
    }

    fn tell(self: &Arc<Self>, item: Work) {
        let handler = &self.handler;
        match item {
            Work::Hello(hello) => self.answer_hello(hello),
            Work::Ready => handler.ready(),
            Work::Failed(failure) => handler.failed(failure),
            Work::Publish(topic, value) => handler.publish(&topic, value),
            Work::Subscribe(topic) => handler.subscribe(&self.lane(), &topic),
            Work::Unsubscribe(topic) => handler.unsubscribe(&self.lane(), &topic),
            Work::Dropped(topic, count) => handler.dropped(&topic, count),
            Work::Stopped => handler.stopped(),
            Work::Closed(reason) => handler.closed(reason),
            Work::Done(..) | Work::Wake(_) | Work::Request(_) | Work::Cancelled(_) => {}
        }
    }

    fn answer_hello(self: &Arc<Self>, hello: Hello) {
        let (agreed, (low, high)) = (hello.agreed(), hello.protocol);
        // Asked also where there is no version for both: it has to know why the lane ends.
        let answer = self.handler.hello(hello).and_then(|welcome| {
            let welcome = |version| Welcome { protocol: version, ..welcome };
            agreed.map(welcome).ok_or_else(|| {
                let reason = format!("it speaks protocol {low} to {high}, this host speaks 1");
                Refused { code: component::Code::PROTOCOL_MISMATCH.to_string(), reason }
            })
        });
        let (kind, body) = match &answer {
            Ok(welcome) => (Kind::Welcome, Payload::serialize(welcome)),
            Err(refused) => (Kind::Refused, Payload::serialize(refused)),
        };
        if let Ok(welcome) = &answer {
            self.book.lock().welcomed(welcome.queue);
        }
        // Both are plain maps of text and numbers, which always have a form.
        let sent = body.is_ok_and(|body| self.send_reply(Header::new(kind, 0), &body).is_ok());
        if answer.is_err() || !sent {
            self.lane().close();
        }
    }

    /// Calls user code; a panic in it must not end the thread that serves every lane.
    fn guarded(&self, call: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(call)).is_err() {
            tracing::error!(lane = %self.name, "a handler of the lane panicked");
        }
    }
}
