//! Gives every frame of the peer to its place, and refuses what is not lawful on this side at this moment.
//!
//! Runs while the lane is being read: it only moves values under short locks; user code is left to `work`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use component::Code;
use component::memory::NoMemory;
use serde::de::DeserializeOwned;

use super::book::{End, Phase, Serving};
use super::credit::Credit;
use super::inbound::{Blocks, InboundRequest};
use super::options::Side;
use super::stream::{Pushed, Stream};
use super::waiter::Delivery;
use super::work::Work;
use super::{Core, count};
use crate::clock;
use crate::error::{CallError, ProtocolError, RemoteFailure, ValueError};
use crate::frame::{Assembler, Frame, Header, Kind, STREAM};
use crate::handshake::{Hello, Refused, Welcome};
use crate::payload::Payload;
use crate::scan::{Scanner, Token};

type Taken = Result<(), ProtocolError>;

/// A frame's payload as one value.
fn payload(frame: Frame) -> Result<Payload, ProtocolError> {
    let kind = frame.header.kind;
    Payload::new(frame.payload).map_err(|source| ProtocolError::Payload { kind, source })
}

/// A frame's payload as a type.
fn read<T: DeserializeOwned>(frame: Frame) -> Result<T, ProtocolError> {
    let kind = frame.header.kind;
    let value = payload(frame)?;
    value.deserialize().map_err(|source| ProtocolError::Payload { kind, source })
}

/// Reads the beginning of a list of `count` values.
fn begin_list(scanner: &mut Scanner<'_>, count: usize) -> Result<(), ValueError> {
    match scanner.token()? {
        Token::List(found) if found == count => Ok(()),
        _ => Err(ValueError::Shape { reason: format!("a list of {count} is expected") }),
    }
}

/// `[topic, value]`.
fn read_event(bytes: &Bytes) -> Result<(String, Payload), ValueError> {
    let mut scanner = Scanner::new(bytes);
    begin_list(&mut scanner, 2)?;
    let topic = scanner.key()?.to_owned();
    Ok((topic, Payload::new(bytes.slice(scanner.position()..))?))
}

/// `[operation, priority, inputs]`.
fn read_request(header: &Header, bytes: &Bytes) -> Result<InboundRequest, ValueError> {
    let mut scanner = Scanner::new(bytes);
    begin_list(&mut scanner, 3)?;
    let operation = scanner.key()?.to_owned();
    let Token::Int(priority) = scanner.token()? else {
        return Err(ValueError::Shape { reason: "the priority is an integer".to_owned() });
    };
    let inputs = Payload::new(bytes.slice(scanner.position()..))?;
    if !inputs.is_map() {
        return Err(ValueError::Shape { reason: "the inputs are a map".to_owned() });
    }
    Ok(InboundRequest {
        correlation: header.correlation,
        operation,
        inputs,
        deadline: clock::from_wire(header.deadline),
        priority: i32::try_from(priority.clamp(i32::MIN.into(), i32::MAX.into())).unwrap_or(0),
        stream: header.flags & STREAM != 0,
        blocks: Blocks::of(header.flags),
    })
}

impl Core {
    pub(super) fn dispatch(
        &self,
        frame: Frame,
        input: &mut Assembler,
        work: &mut Vec<Work>,
    ) -> Taken {
        let kind = frame.header.kind;
        let correlation = frame.header.correlation;
        if frame.is_lost() {
            return self.on_lost(&frame.header, work);
        }
        match kind {
            Kind::Reply | Kind::Error => self.on_answer(frame, work),
            Kind::Request => self.on_request(&frame, work),
            Kind::Ping => self.send_bare(Header::new(Kind::Pong, correlation)),
            Kind::Pong => {
                self.book.lock().pinged = None;
                Ok(())
            }
            Kind::Item | Kind::End => self.on_item(frame, work),
            Kind::Cancel => {
                self.on_cancel(correlation, work);
                Ok(())
            }
            Kind::Credit => self.on_credit(frame, work),
            Kind::Publish => {
                self.expect_ready(kind)?;
                let (topic, value) = read_event(&frame.payload)
                    .map_err(|source| ProtocolError::Payload { kind, source })?;
                work.push(Work::Publish(topic, value));
                Ok(())
            }
            Kind::Hello | Kind::Ready | Kind::Subscribe | Kind::Unsubscribe | Kind::Stopped => {
                self.expect_side(Side::Host, kind)?;
                self.take_from_guest(frame, input, work)
            }
            Kind::Welcome | Kind::Refused | Kind::Stop | Kind::Dropped => {
                self.expect_side(Side::Guest, kind)?;
                self.take_from_host(frame, work)
            }
        }
    }

    fn expect_side(&self, side: Side, kind: Kind) -> Taken {
        let when = match self.side {
            Side::Host => "from a guest",
            Side::Guest => "from the host",
        };
        if self.side == side { Ok(()) } else { Err(ProtocolError::Unexpected { kind, when }) }
    }

    /// A host takes work from a guest only after the guest's `Ready`.
    fn expect_ready(&self, kind: Kind) -> Taken {
        if self.side == Side::Host && self.book.lock().phase != Phase::Open {
            return Err(ProtocolError::Unexpected { kind, when: "before `Ready`" });
        }
        Ok(())
    }

    fn take_from_guest(&self, frame: Frame, input: &mut Assembler, work: &mut Vec<Work>) -> Taken {
        let kind = frame.header.kind;
        match kind {
            Kind::Hello => {
                let hello: Hello = read(frame)?;
                let mut book = self.book.lock();
                if book.phase != Phase::New {
                    return Err(ProtocolError::Unexpected { kind, when: "twice" });
                }
                book.phase = Phase::Greeting;
                work.push(Work::Hello(hello));
            }
            Kind::Ready => {
                let mut book = self.book.lock();
                if book.phase != Phase::Welcomed {
                    return Err(ProtocolError::Unexpected { kind, when: "before `Welcome`" });
                }
                book.phase = Phase::Open;
                input.set_limit(self.max_frame);
                work.push(Work::Ready);
            }
            Kind::Subscribe | Kind::Unsubscribe => {
                self.expect_ready(kind)?;
                let topic: String = read(frame)?;
                work.push(if kind == Kind::Subscribe {
                    Work::Subscribe(topic)
                } else {
                    Work::Unsubscribe(topic)
                });
            }
            _ => work.push(Work::Stopped),
        }
        Ok(())
    }

    fn take_from_host(&self, frame: Frame, work: &mut Vec<Work>) -> Taken {
        let kind = frame.header.kind;
        let greeting = match kind {
            Kind::Welcome => Ok(read::<Welcome>(frame)?),
            Kind::Refused => Err(read::<Refused>(frame)?),
            Kind::Dropped => {
                let (topic, count): (String, u64) = read(frame)?;
                work.push(Work::Dropped(topic, count));
                return Ok(());
            }
            _ => {
                let mut book = self.book.lock();
                book.stopping.get_or_insert_with(Instant::now);
                for server in book.servers.drain(..) {
                    server.deliver(Delivery::Look);
                }
                return Ok(());
            }
        };
        let mut book = self.book.lock();
        let Some(greeter) = book.greeter.take() else {
            return Err(ProtocolError::Unexpected { kind, when: "without a `Hello`" });
        };
        if let Ok(welcome) = &greeting {
            book.welcomed(welcome.queue);
        }
        greeter.deliver(Delivery::Greeting(greeting));
        Ok(())
    }

    fn on_answer(&self, frame: Frame, work: &mut Vec<Work>) -> Taken {
        let kind = frame.header.kind;
        let correlation = frame.header.correlation;
        let result = if kind == Kind::Reply {
            Ok(payload(frame)?)
        } else {
            let failure: RemoteFailure = read(frame)?;
            // Number 0 is no call: it is the guest's own start.
            if correlation == 0 && self.side == Side::Host {
                work.push(Work::Failed(failure));
                return Ok(());
            }
            Err(self.remote(failure))
        };
        self.answered(correlation, result, work);
        Ok(())
    }

    /// There is no memory for what came: it costs the call that it belongs to, and nothing else.
    fn on_lost(&self, header: &Header, work: &mut Vec<Work>) -> Taken {
        let (kind, correlation) = (header.kind, header.correlation);
        let lost = NoMemory { bytes: header.length as usize };
        match kind {
            Kind::Reply | Kind::Error if correlation != 0 => {
                self.answered(correlation, Err(ValueError::from(lost).into()), work);
            }
            Kind::Item => {
                self.call_is_answered(correlation);
                let stream = self.book.lock().stream(correlation);
                if let Some(stream) = stream {
                    let hooks = stream.end(Some(ValueError::from(lost).into()));
                    work.push(Work::Wake(hooks));
                    self.book.lock().leave(correlation);
                    return self.send_bare(Header::new(Kind::Cancel, correlation));
                }
            }
            Kind::Request => {
                self.expect_ready(kind)?;
                let mut failure = RemoteFailure::new(Code::REMOTE_ERROR, lost.to_string());
                "MemoryError".clone_into(&mut failure.type_name);
                let body = Payload::serialize(&failure)
                    .map_err(|source| ProtocolError::Payload { kind, source })?;
                return self.send_reply(Header::new(Kind::Error, correlation), &body);
            }
            Kind::Publish => {
                tracing::warn!(lane = self.name, "an event is dropped: {lost}");
            }
            _ => return Err(ProtocolError::Payload { kind, source: lost.into() }),
        }
        Ok(())
    }

    fn answered(&self, correlation: u64, result: Result<Payload, CallError>, work: &mut Vec<Work>) {
        self.call_is_answered(correlation);
        let mut book = self.book.lock();
        let end = book.answered(correlation);
        count(&self.counters.answers, 1);
        // The first two under the lock: a caller that finds its call gone has the answer, and who sees that nothing is
        // pending sees how many answers came late.
        match end {
            Some(End::Waiter(waiter)) => waiter.deliver(Delivery::Answer(result)),
            Some(End::Abandoned { .. }) | None => count(&self.counters.late, 1),
            Some(End::Done { done, operation, .. }) => {
                drop(book);
                self.offhand.fetch_sub(1, Ordering::Relaxed);
                let result = result.map_err(|error| self.named(error, &operation));
                work.push(Work::Done(done, result));
            }
            Some(End::Stream(stream)) => {
                drop(book);
                // A plain answer to a streaming call is a stream of one.
                let error = match result {
                    Ok(value) => {
                        self.put(&stream, value, work);
                        None
                    }
                    Err(error) => Some(error),
                };
                work.push(Work::Wake(stream.end(error)));
            }
        }
    }

    fn remote(&self, failure: RemoteFailure) -> CallError {
        match Code::parse(&failure.code) {
            Some(Code::CANCELLED) => CallError::Cancelled,
            Some(Code::OVERLOADED) => {
                CallError::Overloaded { lane: self.name.clone(), queue: self.book.lock().queue }
            }
            _ => CallError::Remote(failure),
        }
    }

    /// An unknown operation with its name, which only this side still knows.
    pub(super) fn named(&self, error: CallError, operation: &str) -> CallError {
        match error {
            CallError::Remote(failure) if failure.code == Code::UNKNOWN_OPERATION.as_str() => {
                let lane = self.name.clone();
                CallError::UnknownOperation { lane, operation: operation.to_owned() }
            }
            error => error,
        }
    }

    /// Gives a stream its next item. False: the peer had no credit for it.
    fn put(&self, stream: &Stream, value: Payload, work: &mut Vec<Work>) -> bool {
        match stream.push(value) {
            Pushed::Taken(hooks) => work.push(Work::Wake(hooks)),
            Pushed::First(hooks, limit) => {
                work.push(Work::Wake(hooks));
                self.ensure_timer(limit);
            }
            Pushed::NoCredit => return false,
        }
        true
    }

    fn on_item(&self, frame: Frame, work: &mut Vec<Work>) -> Taken {
        let kind = frame.header.kind;
        let correlation = frame.header.correlation;
        self.call_is_answered(correlation);
        if kind == Kind::End {
            let mut book = self.book.lock();
            if book.is_plain(correlation) {
                // It stays entered: the end of the lane is its answer.
                return Err(ProtocolError::Unexpected { kind, when: "for a plain call" });
            }
            match book.answered(correlation) {
                Some(End::Stream(stream)) => work.push(Work::Wake(stream.end(None))),
                _ => count(&self.counters.late, 1),
            }
            return Ok(());
        }
        let value = payload(frame)?;
        let (stream, known) = {
            let mut book = self.book.lock();
            (book.stream(correlation), book.knows(correlation))
        };
        match stream {
            Some(stream) if self.put(&stream, value, work) => Ok(()),
            Some(_) => Err(ProtocolError::Credit { correlation }),
            // Items of a stream that was given up, or that ended, are on their way for a while.
            None => {
                count(&self.counters.late, usize::from(!known));
                Ok(())
            }
        }
    }

    /// A request that is pending is given up, and was not before.
    fn on_cancel(&self, correlation: u64, work: &mut Vec<Work>) {
        let mut book = self.book.lock();
        let pending = book.serving.get_mut(&correlation).filter(|serving| !serving.cancelled);
        if let Some(serving) = pending {
            serving.cancelled = true;
            let hook = book.resume(correlation);
            work.extend(hook.map(|hook| Work::Wake(vec![hook])));
            work.push(Work::Cancelled(correlation));
        }
    }

    fn on_credit(&self, frame: Frame, work: &mut Vec<Work>) -> Taken {
        let correlation = frame.header.correlation;
        let credit: u32 = read(frame)?;
        let mut book = self.book.lock();
        if let Some(serving) = book.serving.get_mut(&correlation) {
            serving.credit.give_back(credit);
            let hook = book.resume(correlation);
            work.extend(hook.map(|hook| Work::Wake(vec![hook])));
        }
        Ok(())
    }

    fn on_request(&self, frame: &Frame, work: &mut Vec<Work>) -> Taken {
        let kind = Kind::Request;
        self.expect_ready(kind)?;
        let correlation = frame.header.correlation;
        let request = read_request(&frame.header, &frame.payload)
            .map_err(|source| ProtocolError::Payload { kind, source })?;
        let mut book = self.book.lock();
        if book.serving.contains_key(&correlation) {
            return Err(ProtocolError::Duplicate { correlation });
        }
        let (bytes, credit) = (frame.payload.len(), Credit::of_a_stream());
        let serving = Serving { credit, bytes, deadline: request.deadline, ..Serving::default() };
        let queue = book.queue;
        let refusal = if book.serving.len() >= queue as usize {
            Some(format!("more than {queue} calls are pending"))
        } else if !book.serve(correlation, serving, self.in_limit) {
            let limit = self.in_limit;
            Some(format!("the calls that are pending hold more than {limit} bytes with this one"))
        } else {
            None
        };
        if let Some(message) = refusal {
            drop(book);
            let failure = RemoteFailure::new(Code::OVERLOADED, message);
            let body = Payload::serialize(&failure)
                .map_err(|source| ProtocolError::Payload { kind, source })?;
            return self.send_reply(Header::new(Kind::Error, correlation), &body);
        }
        count(&self.counters.served, 1);
        if self.side == Side::Host {
            drop(book);
            work.push(Work::Request(request));
        } else if let Some(server) = book.servers.pop_front() {
            server.deliver(Delivery::Request(request));
        } else {
            book.requests.push_back(request);
        }
        Ok(())
    }

    /// Tells the peer that a call is no longer wanted.
    pub(super) fn send_cancel(self: &Arc<Self>, correlation: u64) {
        if let Err(error) = self.send_bare(Header::new(Kind::Cancel, correlation)) {
            self.violate(error);
        }
    }
}
