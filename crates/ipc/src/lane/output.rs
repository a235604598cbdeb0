//! Writing a lane: straight to the socket when it takes it, else into a bounded queue that the background thread
//! empties. Nobody ever waits in a write.
//!
//! Invariants: what waits for a slow peer is bounded. Events find the queue full first; calls, replies and control frames
//! have as much room again, and a guest that fills even that loses its lane; to a host they all wait. Calls wait by their
//! callers' turns (`round_robin`), which takes no room from events, and whatever belongs to a call that was sent comes after it.

use std::collections::{HashMap, VecDeque};
use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::MutexGuard;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use super::receive::timespec;
use super::round_robin::{Outgoing, RoundRobin};
use super::turn::TICK;
use super::{Core, Side, count};
use crate::error::{CallError, Closed, ProtocolError};
use crate::frame::{HEADER, Header, MAX_LENGTH};
use crate::payload::Payload;

/// How many pieces one write takes from the queue.
const PIECES: usize = 64;
/// Pieces shorter than this are put together in the queue, so that many small ones cost what they weigh.
const SMALL: usize = 4096;
/// How long such a collection grows.
const COLLECTED: usize = 64 * 1024;
/// A frame up to this length is sent as one piece.
const SHORT: usize = 512;
/// Nobody waits in a write, and a peer that is gone is an error of the write's.
const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// Which room a frame may use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Events.
    Event,
    /// Answers, items, the handshake.
    Reply,
    /// Cancels, pongs: frames without a payload.
    Control,
}

/// An event that waits until the queue is empty: it can still be dropped.
struct Event {
    topic: String,
    frame: Vec<u8>,
    body: Bytes,
}

impl Event {
    /// What it holds, its own record included: many empty ones hold something too.
    fn weight(&self) -> usize {
        self.topic.len() + self.frame.len() + self.body.len() + size_of::<Self>()
    }
}

#[derive(Default)]
pub(super) struct Output {
    queue: VecDeque<Bytes>,
    /// The end of the queue, while it is made of small pieces.
    tail: Vec<u8>,
    /// How many bytes queue and tail hold.
    bytes: usize,
    /// At most so many of them are of calls that were put there before their turn: they take no room from the rest.
    drained: usize,
    /// Calls that wait until the queue is short.
    calls: RoundRobin,
    events: VecDeque<Event>,
    /// What the events hold.
    event_bytes: usize,
    /// How many of them there are of each topic.
    of_topic: HashMap<String, usize>,
    broken: bool,
    /// The same socket under another number: epoll keeps one interest for each, and writing has its own.
    watch: Option<OwnedFd>,
}

/// Why nothing was written.
pub(super) enum Unsent {
    Full,
    Broken,
    /// The reply room is full too.
    NotReading(usize),
}

impl Output {
    /// How many long calls the peer has not answered; for whoever has no lock.
    pub(super) fn counted(&self) -> Arc<AtomicUsize> {
        self.calls.counted()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.calls.bytes() + self.event_bytes
    }

    fn keep(&mut self, event: Event) {
        self.event_bytes += event.weight();
        match self.of_topic.get_mut(&event.topic) {
            Some(kept) => *kept += 1,
            None => drop(self.of_topic.insert(event.topic.clone(), 1)),
        }
        self.events.push_back(event);
    }

    /// The event at that place is not kept any more.
    fn let_go(&mut self, place: usize) -> Option<Event> {
        let event = self.events.remove(place)?;
        self.event_bytes -= event.weight();
        if let Some(kept) = self.of_topic.get_mut(&event.topic) {
            *kept -= 1;
            if *kept == 0 {
                self.of_topic.remove(&event.topic);
            }
        }
        Some(event)
    }

    /// The lane is closed: nothing will be written any more.
    pub(super) fn abandon(&mut self) {
        *self = Self { broken: true, ..Self::default() };
    }

    fn write(
        &mut self,
        socket: &OwnedFd,
        head: &[u8],
        body: &Bytes,
        limit: usize,
    ) -> Result<(), Unsent> {
        if self.broken {
            return Err(Unsent::Broken);
        }
        let length = head.len() + body.len();
        let mut written = 0;
        if self.bytes == 0 {
            written = match send_frame(socket, head, body) {
                Ok(written) => written,
                Err(Errno::AGAIN) => 0,
                Err(_) => {
                    self.broken = true;
                    return Err(Unsent::Broken);
                }
            };
        } else if self.bytes + length > limit {
            return Err(Unsent::Full);
        }
        if written < length {
            self.enqueue(head, body, written);
        }
        Ok(())
    }

    /// Puts the rest of a frame at the end of the queue.
    fn enqueue(&mut self, head: &[u8], body: &Bytes, written: usize) {
        self.bytes += head.len() + body.len() - written;
        if written < head.len() {
            self.tail.extend_from_slice(&head[written..]);
        }
        let body_written = written.saturating_sub(head.len());
        let rest = body.slice(body_written.min(body.len())..);
        if rest.len() < SMALL {
            self.tail.extend_from_slice(&rest);
        } else {
            self.collect();
            self.queue.push_back(rest);
        }
        if self.tail.len() >= COLLECTED {
            self.collect();
        }
    }

    /// Writes a call, or has it wait for its turn.
    fn write_call(&mut self, socket: &OwnedFd, call: Outgoing, limit: usize) -> Result<(), Unsent> {
        if self.broken {
            return Err(Unsent::Broken);
        }
        if self.bytes == 0 && self.calls.passes(&call) {
            self.calls.sent(&call);
            return self.write(socket, &call.head, &call.body, limit);
        }
        let waiting = self.bytes + self.calls.bytes();
        // One alone is always taken.
        let free = if waiting == 0 { call.length() } else { limit.saturating_sub(waiting) };
        if self.calls.put(call, free) { Ok(()) } else { Err(Unsent::Full) }
    }

    /// Gives the queue the calls whose turn it is, as many as one write is worth.
    fn take_calls(&mut self) {
        while self.bytes < COLLECTED
            && let Some(call) = self.calls.next()
        {
            self.enqueue(&call.head, &call.body, 0);
        }
    }

    /// Makes the collected small pieces one piece of the queue.
    fn collect(&mut self) {
        if !self.tail.is_empty() {
            self.queue.push_back(Bytes::from(std::mem::take(&mut self.tail)));
        }
    }

    /// Writes what waits until the socket takes no more. False: the socket is broken.
    fn flush(&mut self, socket: &OwnedFd) -> bool {
        loop {
            self.take_calls();
            if self.queue.is_empty() {
                self.collect();
            }
            if self.queue.is_empty() {
                let Some(event) = self.let_go(0) else { return true };
                self.bytes += event.frame.len() + event.body.len();
                self.queue.push_back(Bytes::from(event.frame));
                self.queue.push_back(event.body);
            }
            let pieces: Vec<_> =
                self.queue.iter().take(PIECES).map(|piece| IoSlice::new(piece)).collect();
            let mut written = match send(socket, &pieces) {
                Ok(written) => written,
                Err(Errno::AGAIN) => return true,
                Err(_) => {
                    self.broken = true;
                    return false;
                }
            };
            self.bytes -= written;
            self.drained = self.drained.min(self.bytes);
            while let Some(piece) = self.queue.front_mut() {
                if written < piece.len() {
                    let _ = piece.split_to(written);
                    break;
                }
                written -= piece.len();
                self.queue.pop_front();
            }
        }
    }
}

/// Sends one frame. What is short goes as one piece: copying it costs less than telling the kernel of two.
fn send_frame(socket: &OwnedFd, head: &[u8], body: &[u8]) -> rustix::io::Result<usize> {
    let length = head.len() + body.len();
    let mut whole = [0; SHORT];
    let Some(whole) = whole.get_mut(..length) else {
        return send(socket, &[IoSlice::new(head), IoSlice::new(body)]);
    };
    let (first, second) = whole.split_at_mut(head.len());
    first.copy_from_slice(head);
    second.copy_from_slice(body);
    loop {
        match rustix::net::send(socket, whole, FLAGS) {
            Err(Errno::INTR) => {}
            sent => return sent,
        }
    }
}

fn send(socket: &OwnedFd, pieces: &[IoSlice<'_>]) -> rustix::io::Result<usize> {
    loop {
        match sendmsg(socket, pieces, &mut SendAncillaryBuffer::default(), FLAGS) {
            Err(Errno::INTR) => {}
            sent => return sent,
        }
    }
}

/// The frame's length, where it is lawful.
pub(super) fn frame_length(length: usize) -> Result<u32, CallError> {
    u32::try_from(length)
        .ok()
        .filter(|length| *length <= MAX_LENGTH)
        .ok_or(CallError::TooLarge { length, limit: MAX_LENGTH as usize })
}

impl Core {
    /// Writes header and prefix (`head`) and `body` as one.
    pub(super) fn send(&self, head: &[u8], body: &Bytes, room: Room) -> Result<(), Unsent> {
        let limit = match room {
            Room::Event => self.out_limit,
            // The memory is the guest's own, and its host reads as fast as it can: many long answers at once are no fault.
            _ if self.side == Side::Guest => usize::MAX,
            Room::Control => self.out_limit.saturating_mul(2),
            Room::Reply => self.out_limit.saturating_mul(2).saturating_add(MAX_LENGTH as usize),
        };
        let mut output = self.output.lock();
        let limit = limit.saturating_add(output.drained);
        let sent = output.write(&self.socket, head, body, limit);
        let waiting = output.bytes;
        if sent.is_ok() {
            count(&self.counters.bytes_out, head.len() + body.len());
            if waiting > 0 {
                self.watch_writing(&mut output);
            }
            return Ok(());
        }
        drop(output);
        match sent {
            Err(Unsent::Broken) => {
                self.broke();
                Err(Unsent::Broken)
            }
            Err(Unsent::Full) if room != Room::Event => Err(Unsent::NotReading(waiting)),
            sent => sent,
        }
    }

    /// The socket takes no more: its reader finds what the peer still said, and then the end.
    fn broke(&self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        self.ensure_read();
    }

    /// Sends a call, or has it wait for its caller's turn.
    pub(super) fn send_call(&self, call: Outgoing) -> Result<(), Unsent> {
        let length = call.length();
        let mut output = self.output.lock();
        // What the peer has to take first waits here too, not only what the socket does not take.
        let limit = self.out_limit.saturating_mul(2);
        let sent = output.write_call(&self.socket, call, limit);
        if sent.is_ok() {
            count(&self.counters.bytes_out, length);
            if output.bytes > 0 {
                self.watch_writing(&mut output);
            }
            return Ok(());
        }
        drop(output);
        if let Err(Unsent::Broken) = sent {
            self.broke();
        }
        sent
    }

    /// Takes back a call that waits for its turn. False: it was sent.
    pub(super) fn take_back(&self, correlation: u64) -> bool {
        let mut output = self.output.lock();
        let taken = output.calls.take_back(correlation);
        self.write_next(output);
        taken
    }

    /// A call is answered, or gives its items: what waited behind it is sent.
    pub(super) fn call_is_answered(&self, correlation: u64) {
        if self.counted.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut output = self.output.lock();
        output.calls.answered(correlation);
        self.write_next(output);
    }

    /// Writes the calls that have their turn now, where nobody is about to.
    fn write_next(&self, output: MutexGuard<'_, Output>) {
        if output.bytes == 0 && output.calls.has_turn() {
            self.write_waiting(output);
        }
    }

    /// Gives the socket everything that waits, so that what is sent next is the last.
    pub(super) fn send_waiting(&self) {
        let mut output = self.output.lock();
        for call in output.calls.drain() {
            output.drained += call.length();
            output.enqueue(&call.head, &call.body, 0);
        }
        self.write_waiting(output);
    }

    /// Sends a frame that has room of its own.
    pub(super) fn send_reply(&self, header: Header, body: &Payload) -> Result<(), ProtocolError> {
        let length = u32::try_from(body.size()).unwrap_or(u32::MAX);
        let head = Header { length, ..header }.encode();
        self.send_checked(&head, body.bytes(), Room::Reply)
    }

    /// Sends a frame without a payload that has room of its own.
    pub(super) fn send_bare(&self, header: Header) -> Result<(), ProtocolError> {
        self.send_checked(&header.encode(), &Bytes::new(), Room::Control)
    }

    fn send_checked(&self, head: &[u8], body: &Bytes, room: Room) -> Result<(), ProtocolError> {
        match self.send(head, body, room) {
            Err(Unsent::NotReading(queued)) => Err(ProtocolError::NotReading { queued }),
            // A broken socket has been reported to its reader.
            _ => Ok(()),
        }
    }

    /// Sends an event, or keeps it until the peer reads again; per topic at most `capacity` are kept.
    /// Returns how many were dropped, this one included.
    pub(super) fn send_event(
        &self,
        topic: &str,
        frame: Vec<u8>,
        body: Bytes,
        capacity: usize,
        newest: bool,
    ) -> u64 {
        let mut output = self.output.lock();
        if output.broken {
            return 1;
        }
        if output.bytes == 0 && output.events.is_empty() {
            // Calls that wait here wait for answers, not for the socket.
            drop(output);
            return u64::from(self.send(&frame, &body, Room::Event).is_err());
        }
        let event = Event { topic: topic.to_owned(), frame, body };
        let (mut dropped, mut freed) = (0, 0);
        // Of its own topic only: what is published elsewhere never gives way to it. One that takes no more than what it
        // replaces makes nothing grow, also where answers alone are beyond the limit. Calls that wait for their turn have
        // room of their own: a peer that reads, and only has not answered, loses no event by them.
        while output.of_topic.get(topic).is_some_and(|kept| *kept >= capacity.max(1))
            || (freed < event.weight()
                && output.bytes + output.event_bytes + event.weight() > self.out_limit)
        {
            dropped += 1;
            count(&self.counters.dropped, 1);
            let oldest = output.events.iter().position(|event| event.topic == topic);
            let Some(oldest) = oldest.filter(|_| newest) else { return dropped };
            freed += output.let_go(oldest).map_or(0, |event| event.weight());
        }
        output.keep(event);
        self.watch_writing(&mut output);
        dropped
    }

    fn watch_writing(&self, output: &mut Output) {
        if output.watch.is_none() {
            let watch = rustix::io::fcntl_dupfd_cloexec(&self.socket, 0);
            output.watch = watch.ok().filter(|watch| self.reader.add_write(watch, self.id));
            if output.watch.is_some() {
                return;
            }
        }
        match &output.watch {
            Some(watch) => self.reader.arm_write(watch, self.id),
            // Out of descriptors: the background thread tries again in a moment.
            None => self.reader.timer(self.id, crate::clock::now() + 10_000_000),
        }
    }

    /// The background thread was told that the socket takes bytes again.
    pub(crate) fn on_writable(&self) {
        self.write_waiting(self.output.lock());
    }

    /// Waits until everything was written, at most so long: for a process that ends.
    pub(super) fn write_all_within(&self, limit: Duration) {
        let begun = Instant::now();
        loop {
            self.on_writable();
            let output = self.output.lock();
            let left = limit.saturating_sub(begun.elapsed());
            if output.broken || output.bytes() == 0 || left.is_zero() {
                return;
            }
            drop(output);
            // The background thread writes too, and the socket may be full again by then.
            let mut watched = [PollFd::new(&self.socket, PollFlags::OUT)];
            let _ = poll(&mut watched, Some(&timespec(left.min(TICK))));
        }
    }

    fn write_waiting(&self, mut output: MutexGuard<'_, Output>) {
        if output.broken {
            return;
        }
        let written = output.flush(&self.socket);
        if !written {
            drop(output);
            self.broke();
        } else if output.bytes > 0 || !output.events.is_empty() {
            self.watch_writing(&mut output);
        }
    }

    /// Closes the lane because of what the peer did, on a thread that does not read it.
    pub(super) fn violate(self: &std::sync::Arc<Self>, error: ProtocolError) {
        let mut work = Vec::new();
        self.finish(Closed::Violation(error), &mut work);
        self.perform(work);
    }
}

/// The first bytes of a frame: header and prefix in one piece.
pub(super) fn head(header: Header, prefix: &[u8], body: usize) -> Result<Vec<u8>, CallError> {
    let length = frame_length(prefix.len() + body)?;
    let mut head = Vec::with_capacity(HEADER + prefix.len());
    head.extend_from_slice(&Header { length, ..header }.encode());
    head.extend_from_slice(prefix);
    Ok(head)
}
