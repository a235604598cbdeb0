//! The guest's side of a lane: greeting the host, taking requests, answering, publishing, stopping.
//! (Answering and publishing are the host's too.)

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use super::book::{Phase, Wanting};
use super::inbound::InboundRequest;
use super::output::{frame_length, head};
use super::turn::Waited;
use super::waiter::{Delivery, Waiter};
use super::{Core, Lane};
use crate::error::{CallError, Closed, RemoteFailure};
use crate::frame::{Header, Kind};
use crate::handshake::{Hello, Welcome};
use crate::hooks::Hook;
use crate::payload::Payload;
use crate::value::write_text;

/// What a serving thread does next.
#[derive(Debug)]
pub enum Next {
    /// It serves this request.
    Request(InboundRequest),
    /// The streamed request of that number may go on, or is given up: [`Lane::has_room`] knows.
    Resumed(u64),
}

/// Who hears that a stream which had no room may go on.
pub enum Resume {
    /// The thread that takes requests, by [`Lane::next_event`].
    Server,
    /// Whoever that is; it is called once, on whichever thread reads the lane.
    Hook(Hook),
}

/// How long a guest that is about to exit waits for a host that reads slowly; a stop has 500 ms.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// How many events of one topic wait for a guest that reads slowly.
const EVENTS: usize = 1024;

impl Lane {
    /// Greets the host and waits for its welcome. [`Lane::ready`] must follow.
    ///
    /// # Errors
    /// [`CallError::Refused`] with the host's reason; [`CallError::TimedOut`]; [`CallError::Closed`].
    pub fn hello(&self, hello: &Hello, timeout: Duration) -> Result<Welcome, CallError> {
        let core = &self.0;
        let since = Instant::now();
        let deadline = since.checked_add(timeout);
        let body = Payload::serialize(hello)?;
        let greeter = Arc::new(Waiter::default());
        {
            let mut book = core.book.lock();
            if let Some(reason) = &book.closed {
                return Err(core.closed_error(reason.clone()));
            }
            book.phase = Phase::Greeting;
            book.greeter = Some(Arc::clone(&greeter));
        }
        core.answer(Header::new(Kind::Hello, 0), &body)?;
        loop {
            match core.wait(&greeter, deadline, None) {
                Waited::Delivered(Delivery::Greeting(Ok(welcome))) => return Ok(welcome),
                Waited::Delivered(Delivery::Greeting(Err(refused))) => {
                    return Err(CallError::Refused { code: refused.code, reason: refused.reason });
                }
                Waited::Delivered(Delivery::Closed(error)) => return Err(error),
                Waited::Delivered(_) => {}
                Waited::TimedOut | Waited::Interrupted => {
                    let lane = self.name().to_owned();
                    let operation = "Hello".to_owned();
                    return Err(CallError::TimedOut { lane, operation, after: since.elapsed() });
                }
            }
        }
    }

    /// Says that this guest answers calls from here on.
    ///
    /// # Errors
    /// [`CallError::Closed`] when the lane is closed.
    pub fn ready(&self) -> Result<(), CallError> {
        self.0.book.lock().phase = Phase::Open;
        self.0.answer_bare(Header::new(Kind::Ready, 0))
    }

    /// The next request to serve; this thread reads the lane while it waits. `None` when the host asked this guest
    /// to stop ([`Lane::stop_requested`]) and no request is left, or when `timeout` passed.
    ///
    /// # Errors
    /// [`CallError::Closed`] when the lane is closed; [`CallError::Interrupted`] when `poll` gave up.
    pub fn next_request(
        &self,
        timeout: Option<Duration>,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Option<InboundRequest>, CallError> {
        loop {
            match self.next_event(timeout, poll)? {
                Some(Next::Request(request)) => return Ok(Some(request)),
                // Nobody here asks for `Resume::Server`.
                Some(Next::Resumed(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// As [`Lane::next_request`], for a thread that serves streams too: also which of them may go on.
    ///
    /// # Errors
    /// As [`Lane::next_request`].
    pub fn next_event(
        &self,
        timeout: Option<Duration>,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Option<Next>, CallError> {
        let core = &self.0;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let waiter = Arc::new(Waiter::default());
        loop {
            {
                let mut book = core.book.lock();
                if let Some(correlation) = book.resumed.pop_front() {
                    return Ok(Some(Next::Resumed(correlation)));
                }
                if let Some(request) = book.requests.pop_front() {
                    return Ok(Some(Next::Request(request)));
                }
                if let Some(reason) = &book.closed {
                    return Err(core.closed_error(reason.clone()));
                }
                if book.stopping.is_some() {
                    return Ok(None);
                }
                book.servers.push_back(Arc::clone(&waiter));
            }
            let ended = core.wait_for_work(&waiter, deadline, poll);
            core.book.lock().servers.retain(|other| !Arc::ptr_eq(other, &waiter));
            // A request may have been given to this thread while it gave up.
            let last = waiter.take();
            match last.map_or(ended, Waited::Delivered) {
                Waited::Delivered(Delivery::Request(request)) => {
                    return Ok(Some(Next::Request(request)));
                }
                Waited::Delivered(Delivery::Closed(error)) => return Err(error),
                Waited::Delivered(_) => {}
                Waited::TimedOut => return Ok(None),
                Waited::Interrupted => return Err(CallError::Interrupted),
            }
        }
    }

    /// Answers a request of the peer. An answer to a request that is not pending (twice, or after the end) is dropped.
    ///
    /// # Errors
    /// [`CallError::Closed`] when the lane is closed; [`CallError::TooLarge`] when the result does not fit a frame
    /// (the peer then gets that as the failure).
    pub fn reply(
        &self,
        correlation: u64,
        result: Result<Payload, RemoteFailure>,
    ) -> Result<(), CallError> {
        if !self.0.served(correlation)? {
            return Ok(());
        }
        let (kind, body) = match result {
            Ok(value) => (Kind::Reply, value),
            Err(failure) => (Kind::Error, Payload::serialize(&failure.shortened())?),
        };
        if let Err(error) = frame_length(body.size()) {
            let failure = RemoteFailure::from_hint(&error);
            self.0.answer(Header::new(Kind::Error, correlation), &Payload::serialize(&failure)?)?;
            return Err(error);
        }
        self.0.answer(Header::new(kind, correlation), &body)
    }

    /// Says that this guest cannot start, and why; it exits then, so this waits a moment until that is on its way.
    /// (Guest's side, before [`Lane::hello`].)
    ///
    /// # Errors
    /// [`CallError::Closed`] when the lane is closed.
    pub fn fail_start(&self, failure: &RemoteFailure) -> Result<(), CallError> {
        let failure = failure.clone().shortened_for_start();
        self.0.answer(Header::new(Kind::Error, 0), &Payload::serialize(&failure)?)?;
        self.0.write_all_within(LAST_WORDS);
        Ok(())
    }

    /// Whether [`Lane::next_event`] would not have to wait.
    pub fn has_event(&self) -> bool {
        let book = self.0.book.lock();
        let something = !book.requests.is_empty() || !book.resumed.is_empty();
        something || book.stopping.is_some() || book.closed.is_some()
    }

    /// Whether the caller has room for the next item of a streamed result. Where it has none, `resume` hears once that it
    /// has, that it wants no more, or that the lane closed.
    ///
    /// # Errors
    /// [`CallError::Cancelled`] when the caller gave the stream up; [`CallError::Closed`].
    pub fn has_room(&self, correlation: u64, resume: Resume) -> Result<bool, CallError> {
        let core = &self.0;
        {
            let mut book = core.book.lock();
            if let Some(reason) = &book.closed {
                return Err(core.closed_error(reason.clone()));
            }
            let serving = book.serving.get_mut(&correlation).ok_or(CallError::Cancelled)?;
            if serving.cancelled {
                return Err(CallError::Cancelled);
            }
            if serving.credit.has_room() {
                return Ok(true);
            }
            serving.wanting = match resume {
                Resume::Server => Wanting::Server,
                Resume::Hook(hook) => Wanting::Hook(hook),
            };
        }
        core.ensure_read();
        Ok(false)
    }

    /// Sends one item of a streamed result; waits while the caller has no room for it.
    ///
    /// # Errors
    /// [`CallError::Cancelled`] when the caller gave the stream up, or it is over; [`CallError::TooLarge`] when the item
    /// does not fit a frame (the stream then ends with that as its failure); [`CallError::Closed`];
    /// [`CallError::Interrupted`].
    pub fn item(
        &self,
        correlation: u64,
        item: &Payload,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<(), CallError> {
        if let Err(error) = frame_length(item.size()) {
            self.reply(correlation, Err(RemoteFailure::from_hint(&error)))?;
            return Err(error);
        }
        let core = &self.0;
        loop {
            let waiter = {
                let mut book = core.book.lock();
                if let Some(reason) = &book.closed {
                    return Err(core.closed_error(reason.clone()));
                }
                let serving = book.serving.get_mut(&correlation).ok_or(CallError::Cancelled)?;
                if serving.cancelled {
                    return Err(CallError::Cancelled);
                }
                if serving.credit.spend(item.size()) {
                    serving.wanting = Wanting::Nobody;
                    None
                } else {
                    let waiter = Arc::new(Waiter::default());
                    serving.wanting = Wanting::Waiter(Arc::clone(&waiter));
                    Some(waiter)
                }
            };
            let Some(waiter) = waiter else {
                return core.answer(Header::new(Kind::Item, correlation), item);
            };
            match core.wait(&waiter, None, poll) {
                Waited::Delivered(Delivery::Closed(error)) => return Err(error),
                Waited::Delivered(_) | Waited::TimedOut => {}
                Waited::Interrupted => return Err(CallError::Interrupted),
            }
        }
    }

    /// Ends a streamed result.
    ///
    /// # Errors
    /// [`CallError::Closed`] when the lane is closed.
    pub fn end(&self, correlation: u64) -> Result<(), CallError> {
        if !self.0.served(correlation)? {
            return Ok(());
        }
        self.0.answer_bare(Header::new(Kind::End, correlation))
    }

    /// Whether the caller of that request no longer wants its answer, or the lane is closed.
    pub fn is_cancelled(&self, correlation: u64) -> bool {
        let book = self.0.book.lock();
        book.closed.is_some()
            || book.serving.get(&correlation).is_none_or(|serving| serving.cancelled)
    }

    /// When the caller of that request stops waiting, where it is pending and said so.
    pub fn deadline_of(&self, correlation: u64) -> Option<Instant> {
        self.0.book.lock().serving.get(&correlation)?.deadline
    }

    /// Publishes a value to the peer. It never waits: for a peer that reads slowly a bounded number is kept, and how
    /// many were dropped, this or an older one, is the result.
    ///
    /// # Errors
    /// [`CallError::TooLarge`]; [`CallError::Closed`].
    pub fn publish(&self, topic: &str, value: &Payload) -> Result<u64, CallError> {
        self.publish_with(topic, value, EVENTS, true)
    }

    /// As [`Lane::publish`], with at most `capacity` values of the topic kept; `newest` says that older ones give way.
    ///
    /// # Errors
    /// As [`Lane::publish`].
    pub fn publish_with(
        &self,
        topic: &str,
        value: &Payload,
        capacity: usize,
        newest: bool,
    ) -> Result<u64, CallError> {
        self.0.alive()?;
        let mut prefix = vec![0x92];
        write_text(&mut prefix, topic);
        let frame = head(Header::new(Kind::Publish, 0), &prefix, value.size())?;
        Ok(self.0.send_event(topic, frame, value.bytes().clone(), capacity, newest))
    }

    /// Tells a guest how many events of a topic it lost.
    ///
    /// # Errors
    /// [`CallError::Closed`] when the lane is closed.
    pub fn report_dropped(&self, topic: &str, count: u64) -> Result<(), CallError> {
        let body = Payload::serialize(&(topic, count))?;
        self.0.answer(Header::new(Kind::Dropped, 0), &body)
    }

    /// Asks the host for what is published on a topic; it comes through [`super::Inbound::publish`].
    ///
    /// # Errors
    /// [`CallError::Closed`] when the lane is closed.
    pub fn subscribe(&self, topic: &str) -> Result<(), CallError> {
        self.0.answer(Header::new(Kind::Subscribe, 0), &Payload::serialize(topic)?)
    }

    /// Asks the host for no more of a topic.
    ///
    /// # Errors
    /// [`CallError::Closed`] when the lane is closed.
    pub fn unsubscribe(&self, topic: &str) -> Result<(), CallError> {
        self.0.answer(Header::new(Kind::Unsubscribe, 0), &Payload::serialize(topic)?)
    }

    /// Asks a guest to finish and exit.
    ///
    /// # Errors
    /// [`CallError::Closed`] when the lane is closed.
    pub fn stop(&self) -> Result<(), CallError> {
        self.0.send_waiting();
        self.0.answer_bare(Header::new(Kind::Stop, 0))
    }

    /// Whether the host asked this guest to stop.
    pub fn stop_requested(&self) -> bool {
        self.stopping_since().is_some()
    }

    /// When the host asked this guest to stop, where it did.
    pub fn stopping_since(&self) -> Option<Instant> {
        self.0.book.lock().stopping
    }

    /// Says that this guest is done and about to exit; waits a moment until all that it answered is on its way.
    ///
    /// # Errors
    /// [`CallError::Closed`] when the lane is closed.
    pub fn stopped(&self) -> Result<(), CallError> {
        self.0.answer_bare(Header::new(Kind::Stopped, 0))?;
        self.0.write_all_within(LAST_WORDS);
        Ok(())
    }
}

impl Core {
    fn alive(&self) -> Result<(), CallError> {
        match &self.book.lock().closed {
            Some(reason) => Err(self.closed_error(reason.clone())),
            None => Ok(()),
        }
    }

    /// Takes a request of the peer out. False: it is not pending.
    fn served(&self, correlation: u64) -> Result<bool, CallError> {
        let mut book = self.book.lock();
        if let Some(reason) = &book.closed {
            return Err(self.closed_error(reason.clone()));
        }
        Ok(book.served(correlation))
    }

    fn answer(self: &Arc<Self>, header: Header, body: &Payload) -> Result<(), CallError> {
        self.alive()?;
        self.send_reply(header, body).map_err(|error| {
            self.violate(error.clone());
            self.closed_error(Closed::Violation(error))
        })
    }

    fn answer_bare(self: &Arc<Self>, header: Header) -> Result<(), CallError> {
        self.alive()?;
        self.send_bare(header).map_err(|error| {
            self.violate(error.clone());
            self.closed_error(Closed::Violation(error))
        })
    }
}
