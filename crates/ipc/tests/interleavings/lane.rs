//! A lane whose turn and waiters are the crate's own sources, with a socket, a peer and a background thread that only play.

#[path = "../../src/lane/turn.rs"]
mod turn;
#[path = "../../src/lane/waiter.rs"]
#[expect(dead_code, reason = "only answers come over this lane")]
mod waiter;

/// What comes here beside answers.
mod inbound {
    pub(crate) struct InboundRequest;
}

mod receive {
    pub(super) enum Received {
        Bytes,
        Nothing,
        Signal,
        #[expect(dead_code, reason = "this peer never leaves")]
        End(super::Closed),
    }
}

mod work {
    /// Calls that were answered and that nobody waited for.
    pub(super) struct Work(pub(super) usize);
}

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use shuttle::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use shuttle::thread::{self, JoinHandle};

use self::receive::Received;
use self::turn::{Patience, Turn, Waited};
use self::waiter::{Delivery, Waiter};
use self::work::Work;
use crate::chance;
use crate::payload::Payload;
use crate::sync::{Condvar, Mutex, MutexGuard};

#[derive(Clone)]
pub(crate) struct Closed;

/// How a call ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Answered,
    GaveUp,
}

/// The answers that were read and not given to their places.
#[derive(Default)]
pub(crate) struct Assembler(Vec<usize>);

/// Bytes that are assembled are touched by whoever reads, and nobody else.
#[derive(Default)]
struct Input(Mutex<Assembler>);

impl Input {
    fn lock(&self) -> MutexGuard<'_, Assembler> {
        self.0.lock_free()
    }
}

#[derive(Default)]
struct Line {
    /// Calls that the peer has not answered.
    requests: Vec<usize>,
    /// Answers that nobody has read.
    answers: VecDeque<usize>,
    /// The next answer is an event.
    armed: bool,
    closing: bool,
}

/// The socket, with the event queue of the background thread.
#[derive(Default)]
struct Socket {
    line: Mutex<Line>,
    changed: Condvar,
}

struct Reader;

impl Reader {
    #[expect(clippy::unused_self, reason = "the shape of the crate's own")]
    fn arm_read(&self, socket: &Socket, _id: u64) -> bool {
        socket.line.lock().armed = true;
        socket.changed.notify_all();
        true
    }
}

enum Place {
    Caller(Arc<Waiter>),
    Offhand,
    Unasked,
}

#[derive(Default)]
struct Book {
    places: BTreeMap<usize, Place>,
    last: usize,
    closed: Option<Closed>,
}

pub(crate) struct Core {
    turn: Mutex<Turn>,
    input: Input,
    book: Mutex<Book>,
    socket: Socket,
    reader: Reader,
    id: u64,
    activity: AtomicU64,
    offhand: AtomicUsize,
    done: Mutex<usize>,
    told: Condvar,
}

/// A lane with a peer that answers in any order, and a background thread.
pub(crate) fn open() -> (Arc<Core>, [JoinHandle<()>; 2]) {
    let core = Arc::new(Core {
        turn: Mutex::default(),
        input: Input::default(),
        book: Mutex::default(),
        socket: Socket::default(),
        reader: Reader,
        id: 0,
        activity: AtomicU64::new(0),
        offhand: AtomicUsize::new(0),
        done: Mutex::new(0),
        told: Condvar::default(),
    });
    core.socket.line.lock().armed = true;
    core.turn.lock().armed = true;
    let (peer, background) = (Arc::clone(&core), Arc::clone(&core));
    let threads = [thread::spawn(move || peer.answer()), thread::spawn(move || background.serve())];
    (core, threads)
}

impl Core {
    /// A call whose caller waits for the answer.
    pub(crate) fn call(
        self: &Arc<Self>,
        deadline: Option<Instant>,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Ended {
        let waiter = Arc::new(Waiter::default());
        let number = self.send(Place::Caller(Arc::clone(&waiter)));
        let outcome = if chance(0.5) {
            self.wait(&waiter, deadline, poll)
        } else {
            self.wait_for_work(&waiter, deadline, poll)
        };
        match outcome {
            Waited::Delivered(delivery) => {
                assert!(matches!(delivery, Delivery::Answer(Ok(Payload))));
                Ended::Answered
            }
            Waited::TimedOut | Waited::Interrupted => {
                self.book.lock().places.remove(&number);
                Ended::GaveUp
            }
        }
    }

    /// A call whose answer is told to somebody else.
    pub(crate) fn call_offhand(self: &Arc<Self>) {
        self.offhand.fetch_add(1, Ordering::Relaxed);
        self.send(Place::Offhand);
        self.ensure_read();
    }

    /// The peer sends what nobody asked it for.
    pub(crate) fn peer_sends(&self) {
        self.send(Place::Unasked);
    }

    pub(crate) fn wait_for_offhand(&self, count: usize) {
        let mut done = self.done.lock();
        while *done < count {
            self.told.wait(&mut done);
        }
    }

    /// Ends the other side and the background thread.
    pub(crate) fn close(&self, threads: [JoinHandle<()>; 2]) {
        self.book.lock().closed = Some(Closed);
        self.socket.line.lock().closing = true;
        self.socket.changed.notify_all();
        for thread in threads {
            thread.join().expect("it ends by itself");
        }
    }

    fn send(&self, place: Place) -> usize {
        let number = {
            let mut book = self.book.lock();
            book.last += 1;
            let number = book.last;
            book.places.insert(number, place);
            number
        };
        self.socket.line.lock().requests.push(number);
        self.socket.changed.notify_all();
        number
    }

    /// The peer.
    fn answer(&self) {
        let mut line = self.socket.line.lock();
        loop {
            if line.closing {
                return;
            }
            if line.requests.is_empty() || chance(0.2) && line.answers.len() < 2 {
                if line.requests.is_empty() {
                    self.socket.changed.wait(&mut line);
                    continue;
                }
                drop(line);
                thread::yield_now();
                line = self.socket.line.lock();
            }
            if let Some(number) = line.requests.pop() {
                line.answers.push_back(number);
                self.socket.changed.notify_all();
            }
        }
    }

    /// The background thread: events, and ticks while it watches the lane.
    fn serve(self: &Arc<Self>) {
        let (mut watches, mut seen) = (false, 0);
        loop {
            let event = {
                let mut line = self.socket.line.lock();
                loop {
                    if line.closing {
                        return;
                    }
                    if line.armed && !line.answers.is_empty() {
                        line.armed = false;
                        break true;
                    }
                    if watches && chance(0.5) {
                        break false;
                    }
                    if watches {
                        drop(line);
                        thread::yield_now();
                        line = self.socket.line.lock();
                    } else {
                        self.socket.changed.wait(&mut line);
                    }
                }
            };
            watches = if event { self.on_readable() } else { self.on_tick(&mut seen) };
        }
    }

    // What the turn calls.

    fn receive(&self, input: &mut Assembler, patience: Patience, idle: bool) -> Received {
        let mut line = self.socket.line.lock();
        while line.answers.is_empty() {
            if (!idle || patience.asks.is_some()) && chance(0.3) {
                return if chance(0.5) { Received::Signal } else { Received::Nothing };
            }
            self.socket.changed.wait(&mut line);
        }
        input.0.extend(line.answers.drain(..));
        Received::Bytes
    }

    fn read_now(&self, input: &mut Assembler, work: &mut Vec<Work>) {
        input.0.extend(self.socket.line.lock().answers.drain(..));
        self.take_frames(input, work);
    }

    fn take_frames(&self, input: &mut Assembler, work: &mut Vec<Work>) {
        for number in input.0.drain(..) {
            let place = self.book.lock().places.remove(&number);
            match place {
                Some(Place::Caller(waiter)) => waiter.deliver(Delivery::Answer(Ok(Payload))),
                Some(Place::Offhand) => {
                    self.offhand.fetch_sub(1, Ordering::Relaxed);
                    work.push(Work(1));
                }
                Some(Place::Unasked) => work.push(Work(1)),
                // Its caller gave up.
                None => {}
            }
        }
    }

    #[expect(clippy::unused_self, reason = "the shape of the crate's own")]
    fn finish(&self, _reason: Closed, _work: &mut Vec<Work>) {}

    fn perform(&self, work: Vec<Work>) {
        for Work(count) in work {
            *self.done.lock() += count;
            self.told.notify_all();
        }
    }
}
