//! Which run is served next: by priority and by how long it has waited.
//!
//! Caller: the tracker, for whoever takes nodes of any run. A waiting run gains [`AGEING`] points a second, so that no
//! stream of urgent runs starves one in the background; all gain alike, so the order of two waiting runs never changes and
//! a sorted set is enough. Invariant: in the queue stands who has a ready node, once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::RunId;
use crate::wait::wait_once;

/// Points of priority for each second of waiting: from background (−1000) to high (100) it takes 110 s.
pub const AGEING: i64 = 10;

/// The place of a run: smaller is served first.
type Place = (i128, RunId);

#[derive(Debug)]
pub(super) struct Queue {
    began: Instant,
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    order: BTreeSet<Place>,
    places: HashMap<RunId, i128>,
    /// When the clock may move a node of a run next.
    timers: BTreeSet<(Instant, RunId)>,
    timer_of: BTreeMap<RunId, Instant>,
    closed: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self { began: Instant::now(), state: Mutex::default(), bell: Condvar::new() }
    }
}

impl Queue {
    /// A run has a ready node, and waits from now on. Standing there already, it keeps its place.
    pub(super) fn enter(&self, run: RunId, priority: i64) {
        self.enter_at(run, priority, self.began.elapsed());
    }

    fn enter_at(&self, run: RunId, priority: i64, since: Duration) {
        let waited_from = i128::try_from(since.as_millis()).unwrap_or(i128::MAX / 4);
        let place = waited_from * i128::from(AGEING) - i128::from(priority) * 1000;
        let mut state = self.state.lock();
        if state.places.contains_key(&run) {
            return;
        }
        state.places.insert(run, place);
        state.order.insert((place, run));
        drop(state);
        self.bell.notify_one();
    }

    /// A run has no ready node any more.
    pub(super) fn leave(&self, run: RunId) {
        let mut state = self.state.lock();
        if let Some(place) = state.places.remove(&run) {
            state.order.remove(&(place, run));
        }
    }

    /// Takes out who is served next.
    pub(super) fn pop(&self) -> Option<RunId> {
        let mut state = self.state.lock();
        let (_, run) = state.order.pop_first()?;
        state.places.remove(&run);
        Some(run)
    }

    /// The clock may move a node of that run then; none: not any more.
    pub(super) fn set_timer(&self, run: RunId, at: Option<Instant>) {
        let mut state = self.state.lock();
        if state.timer_of.get(&run).copied() == at {
            return;
        }
        if let Some(before) = state.timer_of.remove(&run) {
            state.timers.remove(&(before, run));
        }
        if let Some(at) = at {
            state.timers.insert((at, run));
            state.timer_of.insert(run, at);
        }
        drop(state);
        // Who waits may have to wake sooner.
        self.bell.notify_all();
    }

    /// Takes out a run whose timer is due.
    pub(super) fn pop_due(&self, now: Instant) -> Option<RunId> {
        let mut state = self.state.lock();
        let (_, run) = state.timers.first().copied().filter(|(at, _)| *at <= now)?;
        state.timers.pop_first();
        state.timer_of.remove(&run);
        Some(run)
    }

    /// Waits until a run may have a ready node, a timer is due or the deadline has come; asks meanwhile where asked to.
    pub(super) fn wait(&self, deadline: Option<Instant>, asks: bool) {
        let mut state = self.state.lock();
        if state.closed || !state.order.is_empty() {
            return;
        }
        let timer = state.timers.first().map(|(at, _)| *at);
        let until = [deadline, timer].into_iter().flatten().min();
        if until.is_none_or(|until| Instant::now() < until) {
            wait_once(&self.bell, &mut state, until, asks);
        }
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.bell.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::RunId;
    use super::Queue;
    use crate::priority;

    #[test]
    fn a_background_run_is_served_however_many_urgent_ones_come() {
        let queue = Queue::default();
        queue.enter_at(RunId(1), priority::BACKGROUND, Duration::ZERO);
        let mut served = 0;
        for second in 0..1000 {
            queue.enter_at(RunId(2 + second), priority::HIGH, Duration::from_secs(second));
            if queue.pop() == Some(RunId(1)) {
                served = second;
                break;
            }
        }
        assert_eq!(served, 110, "it is overtaken for the 110 s that its priority is worth");
    }

    #[test]
    fn of_two_the_higher_goes_first_and_of_equals_the_older() {
        let queue = Queue::default();
        let at = Duration::from_secs(1);
        queue.enter_at(RunId(1), priority::NORMAL, at);
        queue.enter_at(RunId(2), priority::HIGH, at);
        queue.enter_at(RunId(3), priority::NORMAL, at);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [RunId(2), RunId(1), RunId(3)]);
    }
}
