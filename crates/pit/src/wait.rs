//! One round of a wait that may have a deadline and may be interrupted from outside.
//!
//! Callers: the members in which somebody can stand in line. Who waits keeps the place in the line between rounds.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, MutexGuard};

/// How often a wait that can be interrupted asks.
const POLL: Duration = Duration::from_millis(50);

/// Sleeps until the bell rings, the deadline comes, or it is time to ask again.
pub(crate) fn wait_once<T>(
    bell: &Condvar,
    state: &mut MutexGuard<'_, T>,
    deadline: Option<Instant>,
    asks: bool,
) {
    let round = asks.then(|| Instant::now() + POLL);
    match [deadline, round].into_iter().flatten().min() {
        Some(until) => {
            bell.wait_until(state, until);
        }
        None => bell.wait(state),
    }
}
