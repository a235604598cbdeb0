//! Whose turn it is to read a lane.
//!
//! At most one thread reads. A caller that waits takes the reading if it is free, gives the others what it reads for
//! them, and when it leaves hands the reading to another waiting caller; if none waits, to the background thread. All
//! changes of hands happen under one small lock, so that no wake-up is lost:
//! - whoever joins finds the reading free and takes it, or is on the waiting list before the lock is free again;
//! - whoever leaves picks a caller from that list under the same lock, and one that has its answer already is skipped;
//! - a caller that leaves the list for any reason looks, under the same lock, whether it was picked meanwhile.
//!
//! A caller's poll hook is foreign code: it is asked by one that neither reads nor stands on the list, so that nobody's
//! answer waits for it.
//!
//! The background thread is told by epoll (one shot). While callers come back to back it leaves the lane unarmed and
//! looks at it once a tick; it arms it when a whole tick went by without a caller (`tick`), or asks a long-waiting
//! caller to arm it when it leaves (`eager`). Hence an event on a lane that nobody reads is noticed within two ticks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Core;
use super::receive::Received;
use super::waiter::{Delivery, Waiter};
use super::work::Work;

/// How often a caller's poll hook is called.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// How often one that waits for work asks its own, where no signal makes it.
const SELDOM: Duration = Duration::from_secs(1);

/// A caller's question whether to give up.
pub(super) type Poll<'a> = Option<&'a dyn Fn() -> bool>;

/// How long a caller waits, and after which time it asks its hook, where it has one.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    pub(super) deadline: Option<Instant>,
    pub(super) asks: Option<Duration>,
}

#[derive(Default, PartialEq, Eq)]
enum Leader {
    #[default]
    Nobody,
    /// A waiting caller, or one that was picked and is about to wake up.
    Caller,
    /// The background thread.
    Background,
}

#[derive(Default)]
pub(super) struct Turn {
    leader: Leader,
    /// The next event on the socket wakes the background thread.
    pub(super) armed: bool,
    /// Whoever leaves last arms the lane: the background thread does not look at it any more.
    eager: bool,
    waiting: VecDeque<Arc<Waiter>>,
}

/// How a wait ended.
pub(super) enum Waited {
    Delivered(Delivery),
    TimedOut,
    Interrupted,
}

/// Why a thread stops reading.
enum Led {
    /// It has a delivery, or there is work to do outside.
    Look,
    TimedOut,
    /// It is time for its poll hook, which is user code and so runs outside.
    Ask,
}

impl Core {
    /// Waits until `waiter` has a delivery; reads the lane meanwhile if nobody else does.
    pub(super) fn wait(
        self: &Arc<Self>,
        waiter: &Arc<Waiter>,
        deadline: Option<Instant>,
        poll: Poll<'_>,
    ) -> Waited {
        self.wait_asking(waiter, deadline, poll, TICK)
    }

    /// The same for one that waits for work and may do so for days: it reads without waking so often.
    pub(super) fn wait_for_work(
        self: &Arc<Self>,
        waiter: &Arc<Waiter>,
        deadline: Option<Instant>,
        poll: Poll<'_>,
    ) -> Waited {
        self.wait_asking(waiter, deadline, poll, SELDOM)
    }

    fn wait_asking(
        self: &Arc<Self>,
        waiter: &Arc<Waiter>,
        deadline: Option<Instant>,
        poll: Poll<'_>,
        every: Duration,
    ) -> Waited {
        let patience = Patience { deadline, asks: poll.map(|_| every) };
        loop {
            if let Some(delivery) = waiter.take() {
                return Waited::Delivered(delivery);
            }
            let ended = if self.join(waiter) {
                self.lead(waiter, patience)
            } else {
                self.follow(waiter, patience)
            };
            let otherwise = match ended {
                Led::Look => continue,
                // Neither reading nor on the list: foreign code may take any time, and nobody waits for this thread.
                Led::Ask if poll.is_none_or(|poll| !poll()) => continue,
                Led::Ask => Waited::Interrupted,
                Led::TimedOut => Waited::TimedOut,
            };
            return waiter.take().map_or(otherwise, Waited::Delivered);
        }
    }

    /// Takes the reading, or a place on the waiting list.
    fn join(&self, waiter: &Arc<Waiter>) -> bool {
        self.activity.fetch_add(1, Ordering::Relaxed);
        let mut turn = self.turn.lock();
        if turn.leader == Leader::Nobody {
            turn.leader = Leader::Caller;
            return true;
        }
        turn.waiting.push_back(Arc::clone(waiter));
        false
    }

    /// Hands the reading on. `arm` says that it goes back to the background thread at once if nobody waits.
    fn leave(&self, arm: bool) {
        let mut turn = self.turn.lock();
        while let Some(next) = turn.waiting.pop_front() {
            let mut state = next.state.lock();
            if state.delivery.is_none() {
                state.leading = true;
                next.wake.notify_one();
                turn.leader = Leader::Caller;
                return;
            }
        }
        turn.leader = Leader::Nobody;
        if arm || turn.eager || self.offhand.load(Ordering::Relaxed) > 0 {
            self.arm(&mut turn);
        }
    }

    fn arm(&self, turn: &mut Turn) {
        turn.eager = false;
        if !turn.armed {
            turn.armed = self.reader.arm_read(&self.socket, self.id);
        }
    }

    /// Makes sure that somebody reads: for a call whose answer nobody waits for here.
    pub(super) fn ensure_read(&self) {
        let mut turn = self.turn.lock();
        if turn.leader == Leader::Nobody {
            self.arm(&mut turn);
        }
    }

    /// Reads the lane until the own delivery is there, then leaves and does what has to be done outside.
    fn lead(self: &Arc<Self>, waiter: &Arc<Waiter>, patience: Patience) -> Led {
        let mut work = Vec::new();
        let ended = self.read_for(waiter, patience, &mut work);
        self.leave(false);
        self.perform(work);
        ended
    }

    fn read_for(&self, waiter: &Waiter, patience: Patience, work: &mut Vec<Work>) -> Led {
        let mut input = self.input.lock();
        let mut idle = false;
        let mut signalled = false;
        let begun = patience.asks.map(|_| Instant::now());
        loop {
            if waiter.has_delivery() || !work.is_empty() {
                return Led::Look;
            }
            match self.receive(&mut input, patience, idle) {
                Received::Bytes => {
                    idle = false;
                    self.take_frames(&mut input, work);
                }
                Received::End(reason) => {
                    self.finish(reason, work);
                    return Led::Look;
                }
                Received::Nothing => idle = true,
                Received::Signal => signalled = true,
            }
            if waiter.has_delivery() {
                return Led::Look;
            }
            // First: a lane on which nothing comes asks every time, and would never see its deadline.
            if patience.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Led::TimedOut;
            }
            if let (Some(begun), Some(every)) = (begun, patience.asks)
                && (signalled || (idle && every <= TICK) || begun.elapsed() >= every)
            {
                return Led::Ask;
            }
        }
    }

    /// Waits for the delivery that another thread's reading brings, or for the reading itself.
    fn follow(self: &Arc<Self>, waiter: &Arc<Waiter>, patience: Patience) -> Led {
        let mut state = waiter.state.lock();
        let ended = loop {
            if state.leading {
                state.leading = false;
                drop(state);
                return self.lead(waiter, patience);
            }
            if state.delivery.is_some() {
                break Led::Look;
            }
            let left = patience.deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break Led::TimedOut;
            }
            // No signal wakes it here.
            let tick = patience.asks.map(|_| TICK);
            match left.into_iter().chain(tick).min() {
                Some(span) if waiter.wake.wait_for(&mut state, span).timed_out() => {
                    if patience.asks.is_some() && !state.leading && state.delivery.is_none() {
                        break Led::Ask;
                    }
                }
                Some(_) => {}
                None => waiter.wake.wait(&mut state),
            }
        };
        drop(state);
        self.unlist(waiter);
        ended
    }

    /// Takes a caller off the waiting list, and hands the reading on if it was picked meanwhile.
    fn unlist(&self, waiter: &Arc<Waiter>) {
        let picked = {
            let mut turn = self.turn.lock();
            turn.waiting.retain(|other| !Arc::ptr_eq(other, waiter));
            std::mem::take(&mut waiter.state.lock().leading)
        };
        if picked {
            self.leave(false);
        }
    }

    /// The background thread was told that there is something to read. Says whether it must look at the lane again.
    pub(crate) fn on_readable(self: &Arc<Self>) -> bool {
        {
            let mut turn = self.turn.lock();
            turn.armed = false;
            if turn.leader != Leader::Nobody {
                turn.eager = false;
                return true;
            }
            turn.leader = Leader::Background;
        }
        let mut work = Vec::new();
        self.read_now(&mut self.input.lock(), &mut work);
        self.leave(true);
        self.perform(work);
        let turn = self.turn.lock();
        !turn.armed && self.is_alive()
    }

    /// The background thread looks at a lane that it left to its callers. Says whether it must look again.
    pub(crate) fn on_tick(&self, seen: &mut u64) -> bool {
        let mut turn = self.turn.lock();
        if turn.armed || !self.is_alive() {
            return false;
        }
        let activity = self.activity.load(Ordering::Relaxed);
        if activity != *seen {
            *seen = activity;
            return true;
        }
        if turn.leader == Leader::Nobody {
            self.arm(&mut turn);
        } else {
            turn.eager = true;
        }
        false
    }

    fn is_alive(&self) -> bool {
        self.book.lock().closed.is_none()
    }
}
