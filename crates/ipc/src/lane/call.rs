//! Calling an operation of the peer: blocking, submitted, in batches, as a stream; cancelling and timing out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::asked::HeldUp;
use super::book::{Book, End, Phase};
use super::inbound::Blocks;
use super::options::Side;
use super::output::{Unsent, head};
use super::round_robin::{CallerId, Outgoing};
use super::stream::{Items, Stream};
use super::turn::{Poll, Waited};
use super::waiter::{Delivery, Waiter};
use super::work::Work;
use super::{Core, Lane, count};
use crate::clock;
use crate::error::{CallError, Closed};
use crate::frame::{Header, Kind, STREAM};
use crate::payload::Payload;
use crate::value::{write_int, write_text};

/// Which call: what [`Lane::cancel`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(u64);

impl CallId {
    pub(super) const fn number(self) -> u64 {
        self.0
    }
}

/// How a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallOptions {
    /// When the caller stops waiting; it travels with the call.
    pub deadline: Option<Instant>,
    /// How urgent the call is.
    pub priority: i32,
    /// Who calls, and so whose turn on the lane it takes. None: this thread.
    pub caller: Option<CallerId>,
}

impl CallOptions {
    /// The same, said to be this thread's where nobody is named: for a call that another thread sends later.
    #[must_use]
    pub fn of_here(&self) -> Self {
        Self { caller: self.caller.or_else(|| Some(CallerId::of_thread())), ..*self }
    }

    /// Options whose deadline is that far away.
    pub fn within(span: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(span), ..Self::default() }
    }
}

/// What is called with the result of a submitted call: on whichever thread reads the lane, so it must not block.
pub type Done = Box<dyn FnOnce(Result<Payload, CallError>) + Send>;

/// One call of a batch.
pub struct Submission<'a> {
    /// The operation.
    pub operation: &'a str,
    /// Its inputs, a map.
    pub inputs: &'a Payload,
    /// How it is made.
    pub options: CallOptions,
    /// What gets its result.
    pub done: Done,
}

impl Lane {
    /// Calls an operation and waits for its result on this thread, which reads the lane meanwhile if nobody else does.
    ///
    /// # Errors
    /// [`CallError`] for every way in which there is no result.
    pub fn request(
        &self,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
    ) -> Result<Payload, CallError> {
        self.request_polling(operation, inputs, options, None)
    }

    /// As [`Lane::request`]; `poll` is called at least every 50 ms, and after every signal that interrupts the wait,
    /// and gives the call up by returning true.
    ///
    /// # Errors
    /// [`CallError::Interrupted`] when `poll` gave up; else as [`Lane::request`].
    pub fn request_polling(
        &self,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Payload, CallError> {
        self.request_blocking(operation, inputs, options, None, poll)
    }

    /// As [`Lane::request_polling`]; `blocks` tells the host which thread of this guest does nothing else meanwhile, so
    /// that a call which could never be answered for that reason is refused.
    ///
    /// # Errors
    /// As [`Lane::request_polling`].
    pub fn request_blocking(
        &self,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        blocks: Option<Blocks>,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Payload, CallError> {
        let core = &self.0;
        let flags = blocks.map_or(0, Blocks::flag);
        let since = options.deadline.map(|_| Instant::now());
        let waiter = Arc::new(Waiter::default());
        let end = End::Waiter(Arc::clone(&waiter));
        let correlation = core.begin(operation, inputs, options, flags, end)?;
        let gave_up = match core.wait_answer(&waiter, options.deadline, poll) {
            Ok(result) => return result.map_err(|error| core.named(error, operation)),
            Err(gave_up) => gave_up,
        };
        if core.book.lock().abandon(correlation, core.since()).is_none() {
            // The answer came while this thread gave up.
            if let Some(Delivery::Answer(result)) = waiter.take() {
                return result.map_err(|error| core.named(error, operation));
            }
        }
        core.withdraw(correlation);
        Err(match gave_up {
            GaveUp::Interrupted => CallError::Interrupted,
            GaveUp::TimedOut => core.timed_out(operation, since),
        })
    }

    /// Calls an operation without waiting; `done` gets the result.
    ///
    /// # Errors
    /// [`CallError`] when the call was not sent; `done` is then dropped without being called.
    pub fn submit(
        &self,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        done: Done,
    ) -> Result<CallId, CallError> {
        let core = &self.0;
        let end = End::Done { done, operation: operation.to_owned(), since: Instant::now() };
        core.offhand.fetch_add(1, Ordering::Relaxed);
        let correlation = core.begin(operation, inputs, options, 0, end).inspect_err(|_| {
            core.offhand.fetch_sub(1, Ordering::Relaxed);
        })?;
        core.ensure_read();
        core.ensure_timer(options.deadline);
        Ok(CallId(correlation))
    }

    /// Submits several calls together. Each has its own outcome, in the order of the batch.
    pub fn submit_batch(&self, batch: Vec<Submission<'_>>) -> Vec<Result<CallId, CallError>> {
        let core = &self.0;
        let mut calls = Vec::with_capacity(batch.len());
        let mut soonest: Option<Instant> = None;
        let mut outcomes = Vec::with_capacity(batch.len());
        {
            let mut book = core.book.lock();
            for Submission { operation, inputs, options, done } in batch {
                let end =
                    End::Done { done, operation: operation.to_owned(), since: Instant::now() };
                let entered = core.enter(&mut book, operation, inputs, &options, 0, end);
                outcomes.push(entered.map(|call| {
                    core.offhand.fetch_add(1, Ordering::Relaxed);
                    soonest = soonest.into_iter().chain(options.deadline).min();
                    let id = CallId(call.correlation);
                    calls.push(call);
                    id
                }));
            }
        }
        let mut sent = calls.into_iter().map(|call| core.send_call(call));
        for outcome in &mut outcomes {
            if let Ok(CallId(correlation)) = *outcome
                && let Some(Err(unsent)) = sent.next()
                && core.book.lock().leave(correlation).is_some()
            {
                core.offhand.fetch_sub(1, Ordering::Relaxed);
                *outcome = Err(core.unsent(&unsent));
            }
        }
        core.ensure_read();
        core.ensure_timer(soonest);
        outcomes
    }

    /// Calls an operation whose result is a stream.
    ///
    /// # Errors
    /// [`CallError`] when the call was not sent.
    pub fn request_stream(
        &self,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
    ) -> Result<Items, CallError> {
        let stream = Arc::new(Stream::new(operation, options.deadline, self.0.patience));
        let end = End::Stream(Arc::clone(&stream));
        let correlation = self.0.begin(operation, inputs, options, STREAM, end)?;
        self.0.ensure_timer(options.deadline);
        Ok(Items::new(self.clone(), stream, CallId(correlation)))
    }

    /// Gives a submitted call up: its `done` gets [`CallError::Cancelled`] at once and the peer is told. False if it
    /// is answered or given up already.
    pub fn cancel(&self, call: CallId) -> bool {
        self.0.give_up(call.0, Why::Cancelled)
    }

    /// Says which operations of the peer run beside others, and hold up nobody; all others do.
    pub fn set_beside(&self, operations: Vec<String>) {
        self.0.book.lock().beside = operations;
    }

    /// The operation for which other calls have waited at least that long, where there is one.
    pub fn held_up(&self, limit: Duration) -> Option<HeldUp> {
        self.0.book.lock().held_up(limit)
    }

    /// Asks the peer whether it is there; see [`Lane::silence`].
    ///
    /// # Errors
    /// [`CallError::Closed`] when the lane is closed.
    pub fn ping(&self) -> Result<(), CallError> {
        {
            let mut book = self.0.book.lock();
            if let Some(reason) = &book.closed {
                return Err(self.0.closed_error(reason.clone()));
            }
            if book.pinged.is_none() {
                book.pinged = Some(self.0.since());
            }
        }
        let sent = self.0.send_bare(Header::new(Kind::Ping, 0));
        self.0.ensure_read();
        if let Err(error) = sent {
            self.0.violate(error.clone());
            return Err(self.0.closed_error(Closed::Violation(error)));
        }
        Ok(())
    }

    /// For how long a ping has been without its pong, where one is. Time in which nobody read this lane does not count;
    /// who asks does so about once a second.
    pub fn silence(&self) -> Option<Duration> {
        let heard = self.0.look();
        self.0.book.lock().pinged.map(|since| since.listened(heard))
    }

    /// For how long the peer has owed the answer to a call that was given up; the longest, where there is one. It is
    /// counted as [`Lane::silence`] is.
    pub fn overdue(&self) -> Option<Duration> {
        let heard = self.0.look();
        self.0.book.lock().overdue().map(|since| since.listened(heard))
    }
}

/// Why a call that nobody waits for is ended from here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Cancelled,
    /// Its time is over.
    Late,
}

/// Why a caller stopped waiting.
enum GaveUp {
    TimedOut,
    Interrupted,
}

impl Core {
    /// Enters a call and makes its head; what the lane's state forbids is refused.
    fn enter(
        &self,
        book: &mut Book,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        flags: u16,
        end: End,
    ) -> Result<Outgoing, CallError> {
        if let Some(reason) = &book.closed {
            return Err(self.closed_error(reason.clone()));
        }
        if self.side == Side::Host && book.phase != Phase::Open {
            return Err(CallError::NotReady { lane: self.name.clone() });
        }
        if book.is_full() {
            return Err(CallError::Overloaded { lane: self.name.clone(), queue: book.queue });
        }
        let mut prefix = Vec::with_capacity(operation.len() + 8);
        prefix.push(0x93);
        write_text(&mut prefix, operation);
        write_int(&mut prefix, i64::from(options.priority));
        let deadline = clock::to_wire(options.deadline);
        let header = Header { flags, deadline, ..Header::new(Kind::Request, 0) };
        let mut head = head(header, &prefix, inputs.size())?;
        let correlation = book.enter(options.deadline, end, operation, flags & STREAM != 0);
        head[16..24].copy_from_slice(&correlation.to_le_bytes());
        let caller = options.caller.unwrap_or_else(CallerId::of_thread);
        // What a guest asks of its host runs beside everything else there.
        let beside = self.side == Side::Guest || book.takes_beside(operation);
        Ok(Outgoing { caller, correlation, head, body: inputs.bytes().clone(), beside })
    }

    fn begin(
        self: &Arc<Self>,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        flags: u16,
        end: End,
    ) -> Result<u64, CallError> {
        let call = self.enter(&mut self.book.lock(), operation, inputs, options, flags, end)?;
        let correlation = call.correlation;
        if let Err(unsent) = self.send_call(call)
            && self.book.lock().leave(correlation).is_some()
        {
            return Err(self.unsent(&unsent));
        }
        count(&self.counters.calls, 1);
        Ok(correlation)
    }

    fn unsent(&self, unsent: &Unsent) -> CallError {
        let book = self.book.lock();
        match unsent {
            Unsent::Broken => self.closed_error(book.closed.clone().unwrap_or(Closed::Eof)),
            Unsent::Full | Unsent::NotReading(_) => {
                CallError::Overloaded { lane: self.name.clone(), queue: book.queue }
            }
        }
    }

    fn timed_out(&self, operation: &str, since: Option<Instant>) -> CallError {
        CallError::TimedOut {
            lane: self.name.clone(),
            operation: operation.to_owned(),
            after: since.map(|since| since.elapsed()).unwrap_or_default(),
        }
    }

    /// Waits for a call's answer; the error says why the wait ended without one.
    fn wait_answer(
        self: &Arc<Self>,
        waiter: &Arc<Waiter>,
        deadline: Option<Instant>,
        poll: Poll<'_>,
    ) -> Result<Result<Payload, CallError>, GaveUp> {
        loop {
            match self.wait(waiter, deadline, poll) {
                Waited::Delivered(Delivery::Answer(result)) => return Ok(result),
                Waited::Delivered(Delivery::Closed(error)) => return Ok(Err(error)),
                Waited::Delivered(_) => {}
                Waited::TimedOut => return Err(GaveUp::TimedOut),
                Waited::Interrupted => return Err(GaveUp::Interrupted),
            }
        }
    }

    /// Ends a call that nobody waits for, with an error of this side's.
    fn give_up(self: &Arc<Self>, correlation: u64, why: Why) -> bool {
        let Some(end) = self.book.lock().abandon(correlation, self.since()) else { return false };
        self.withdraw(correlation);
        match end {
            End::Done { done, operation, since } => {
                self.offhand.fetch_sub(1, Ordering::Relaxed);
                let error = match why {
                    Why::Cancelled => CallError::Cancelled,
                    Why::Late => self.timed_out(&operation, Some(since)),
                };
                self.perform(vec![Work::Done(done, Err(error))]);
            }
            End::Stream(stream) => {
                let error = match why {
                    Why::Cancelled => CallError::Cancelled,
                    Why::Late => stream.late(&self.name),
                };
                self.perform(vec![Work::Wake(stream.end(Some(error)))]);
            }
            End::Waiter(waiter) => waiter.deliver(Delivery::Answer(Err(CallError::Cancelled))),
            End::Abandoned { .. } => {}
        }
        true
    }

    /// Tells the peer that a call is no longer wanted, unless it still waits here: then it is taken back, and is over.
    fn withdraw(self: &Arc<Self>, correlation: u64) {
        if self.take_back(correlation) {
            self.book.lock().leave(correlation);
        } else {
            self.send_cancel(correlation);
        }
    }

    pub(super) fn ensure_timer(&self, deadline: Option<Instant>) {
        if deadline.is_none() {
            return;
        }
        let at = clock::to_wire(deadline);
        if at < self.timer.fetch_min(at, Ordering::AcqRel) {
            self.reader.timer(self.id, at);
        }
    }

    /// The background thread's timer: times submitted calls out.
    pub(crate) fn on_timer(self: &Arc<Self>) {
        self.timer.store(u64::MAX, Ordering::Release);
        let (late, next) = self.book.lock().expired(Instant::now());
        for correlation in late {
            self.give_up(correlation, Why::Late);
        }
        self.ensure_timer(next);
        self.on_writable();
    }
}
