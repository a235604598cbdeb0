//! A store kept to its limits: what is beyond them is archived or deleted.
//!
//! Called by the manager's thread, and by `symphony store gc`. Invariants: what is pinned, held by a run or kept by a rule is
//! never touched, whatever the limits say; what was used a moment ago neither, as whoever put it has not yet said what for; and
//! of the rest the least valuable goes first.

use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use component::chain;

use super::manager::{Ground, StaleManager};
use super::store_limits::StoreLimits;
use super::{Action, Rule, Score, SweepReport};
use crate::artifact_store::{ArtifactId, Metadata, now};
use crate::{PitError, PitResult};

/// Seconds in which nothing goes that was put or read.
const FRESH: f64 = 1.0;

/// How long the first look comes after the start, at most: keep rules that are code are there only once the system is up, and
/// an earlier look would not know them. Where `keep` is shorter, after `keep`.
const START: Duration = Duration::from_secs(30);
/// How often what is stored is held against the cap.
const LOOK: Duration = Duration::from_millis(500);
/// All artifacts are looked at this often while they age, at most and at least.
const SOONEST: Duration = Duration::from_millis(250);
const LATEST: Duration = Duration::from_secs(3600);
/// Of a wall clock that is ahead by less nobody takes notice, in seconds.
const LEAP: f64 = 5.0;
/// After a look that could not keep to the cap the next comes so much later.
const PAUSE: Duration = Duration::from_secs(5);

/// What was done to keep to the limits, or with `dry_run` would have been.
#[derive(Debug, Default)]
pub struct Enforced {
    /// What was judged, archived and deleted.
    pub sweep: SweepReport,
    /// The bytes that are stored now.
    pub stored_bytes: u64,
    /// They are more than the cap: the rest is pinned, held, kept by a rule, or was used a moment ago.
    pub is_over: bool,
}

/// One that may go, the most valuable first; of two alike the one that was used later.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    value: f64,
    last_used: f64,
    size: u64,
    id: ArtifactId,
}

impl Candidate {
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.value
            .total_cmp(&other.value)
            .then(self.last_used.total_cmp(&other.last_used))
            .then(self.id.cmp(&other.id))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.order(other).is_eq()
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order(other)
    }
}

/// The least valuable that together have at least so many bytes: what it takes does not grow with the store.
struct Least {
    wanted: u64,
    bytes: u64,
    heap: BinaryHeap<Candidate>,
}

impl Least {
    fn new(wanted: u64) -> Self {
        Self { wanted, bytes: 0, heap: BinaryHeap::new() }
    }

    fn offer(&mut self, candidate: Candidate) {
        let is_enough = self.bytes >= self.wanted;
        if self.wanted == 0 || is_enough && self.heap.peek().is_none_or(|most| candidate >= *most) {
            return;
        }
        self.bytes = self.bytes.saturating_add(candidate.size);
        self.heap.push(candidate);
        while let Some(most) = self.heap.peek() {
            if self.bytes - most.size < self.wanted {
                break;
            }
            self.bytes -= most.size;
            self.heap.pop();
        }
    }
}

impl StaleManager {
    /// Says what the store keeps; from now on a thread sees to it, where that is anything less than everything.
    ///
    /// # Errors
    /// [`PitError::Io`]: the thread cannot be started.
    pub fn keep_limits(self: &Arc<Self>, limits: StoreLimits) -> PitResult<()> {
        *self.limits.lock() = limits;
        if limits.is_none() {
            return Ok(());
        }
        let manager = Arc::downgrade(self);
        let mut rounds = Rounds { walk_at: None, clocks: Clocks::read() };
        let start = limits.keep.map_or(START, |keep| keep.clamp(LOOK, START));
        // Held only while it works: one that is dropped is closed by nobody else.
        self.keeper.start(Instant::now() + start, move || Some(rounds.next(&*manager.upgrade()?)))
    }

    /// Archives and deletes what is beyond the limits at `now`, in Unix seconds. `interrupted` is asked between artifacts
    /// whether to give it up.
    ///
    /// # Errors
    /// [`PitError::Index`], [`PitError::Stopped`], [`PitError::Invalid`] of limits that would empty the store; failures of
    /// single artifacts are in the report.
    pub fn enforce(
        &self,
        limits: &StoreLimits,
        now: f64,
        dry_run: bool,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> PitResult<Enforced> {
        limits.check()?;
        let mut sweep = SweepReport { dry_run, ..SweepReport::default() };
        let mut stored = self.store.stats().stored_bytes;
        let mut is_first = true;
        loop {
            let excess = limits.cap.map_or(0, |cap| stored.saturating_sub(cap));
            if !is_first && excess == 0 {
                break;
            }
            let mut pass = Pass { manager: self, limits, now, is_first, least: Least::new(excess) };
            let rules = self.rules();
            let walked = self.store.each(|artifact| {
                if interrupted.is_some_and(|ask| ask()) {
                    return Err(PitError::Stopped { member: GIVEN_UP });
                }
                pass.treat(&artifact, &rules, &mut sweep);
                Ok(())
            });
            match walked {
                Ok(()) => {}
                Err(PitError::Stopped { member: GIVEN_UP }) => break,
                Err(error) => return Err(error),
            }
            let before = sweep.deleted.len();
            let least = pass.least.heap.into_sorted_vec();
            stored = self.delete_least(&least, limits, interrupted, &mut sweep);
            // What has chunks in common with others gives back less than its size: then once more.
            if dry_run || sweep.deleted.len() == before {
                break;
            }
            is_first = false;
        }
        if !(dry_run || sweep.deleted.is_empty() && sweep.archived.is_empty()) {
            sweep.reclaimed_bytes = self.store.reclaim(interrupted)?;
        }
        let is_over = limits.cap.is_some_and(|cap| stored > cap);
        Ok(Enforced { sweep, stored_bytes: stored, is_over })
    }

    /// The same now.
    ///
    /// # Errors
    /// As [`Self::enforce`].
    pub fn enforce_now(
        &self,
        limits: &StoreLimits,
        dry_run: bool,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> PitResult<Enforced> {
        self.enforce(limits, now(), dry_run, interrupted)
    }

    /// Deletes these, in their order, until the cap is kept; answers how many bytes are stored then.
    fn delete_least(
        &self,
        least: &[Candidate],
        limits: &StoreLimits,
        interrupted: Option<&dyn Fn() -> bool>,
        sweep: &mut SweepReport,
    ) -> u64 {
        let mut stored = self.store.stats().stored_bytes;
        for candidate in least {
            let is_kept = limits.cap.is_none_or(|cap| stored <= cap);
            if is_kept || interrupted.is_some_and(|ask| ask()) {
                break;
            }
            let artifact = match self.store.metadata(&candidate.id) {
                Ok(artifact) => artifact,
                Err(error) => {
                    sweep.fail(candidate.id, error);
                    continue;
                }
            };
            // Used since it was judged.
            if artifact.last_used().total_cmp(&candidate.last_used).is_ne() {
                continue;
            }
            let before = sweep.deleted.len();
            self.delete(&artifact, sweep);
            if sweep.deleted.len() > before {
                sweep.kept = sweep.kept.saturating_sub(1);
            }
            stored = if sweep.dry_run {
                stored.saturating_sub(artifact.size)
            } else {
                self.store.stats().stored_bytes
            };
        }
        stored
    }
}

/// What ends the walk early.
const GIVEN_UP: &str = "limits";

/// One walk over all artifacts.
struct Pass<'a> {
    manager: &'a StaleManager,
    limits: &'a StoreLimits,
    now: f64,
    /// Later walks only look for more of what the cap costs.
    is_first: bool,
    least: Least,
}

impl Pass<'_> {
    fn treat(&mut self, artifact: &Metadata, rules: &[Rule], sweep: &mut SweepReport) {
        sweep.examined += u64::from(self.is_first);
        let idle = self.now - artifact.last_used();
        let is_fresh = idle < FRESH;
        let action = if is_fresh { Action::Keep } else { self.due(artifact, idle) };
        let may_go = !is_fresh && self.least.wanted > 0;
        if action == Action::Keep && !may_go {
            sweep.kept += u64::from(self.is_first);
            return;
        }
        if let Some(ground) = self.spared(artifact, rules) {
            if self.is_first {
                sweep.keep(&ground);
            }
            return;
        }
        match action {
            Action::Archive => self.manager.archive(artifact, self.now, sweep),
            Action::Delete => return self.manager.delete(artifact, sweep),
            Action::Keep => sweep.kept += u64::from(self.is_first),
        }
        if may_go {
            let (value, last_used) = (Score::of(artifact, self.now).value(), artifact.last_used());
            let (size, id) = (artifact.size, artifact.id);
            self.least.offer(Candidate { value, last_used, size, id });
        }
    }

    /// What its age asks for.
    fn due(&self, artifact: &Metadata, idle: f64) -> Action {
        let Some(keep) = self.limits.keep.filter(|_| self.is_first) else { return Action::Keep };
        let keep = keep.as_secs_f64();
        match artifact.archived {
            true if idle >= 2.0 * keep && self.is_archived_for(artifact, keep) => Action::Delete,
            false if idle >= keep => Action::Archive,
            _ => Action::Keep,
        }
    }

    /// Whether it lies in the archive for so many seconds: one that had aged for long when it was archived, as under limits
    /// that are new, gets its second period all the same.
    fn is_archived_for(&self, artifact: &Metadata, keep: f64) -> bool {
        // What cannot be told yet, or is no more, stays.
        let archived = self.manager.store.archived_at(&artifact.id).ok().flatten();
        archived.is_some_and(|archived| self.now - archived >= keep)
    }

    /// Why it is not touched, whatever its age and worth.
    fn spared(&self, artifact: &Metadata, rules: &[Rule]) -> Option<Ground> {
        if self.manager.pins.contains(&artifact.id) {
            return Some(Ground::Pinned);
        }
        if let Some(user) = self.manager.in_use.in_use(&artifact.id) {
            return Some(Ground::InUse(user));
        }
        let rule = rules.iter().position(|rule| rule.fits(artifact, self.now))?;
        let keeps = rules.get(rule).is_some_and(|rule| rule.action == Action::Keep);
        keeps.then_some(Ground::Rule(rule))
    }
}

/// When what is to be looked at.
struct Rounds {
    walk_at: Option<Instant>,
    clocks: Clocks,
}

/// What both clocks said at a time.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    steady: Instant,
    wall: f64,
}

impl Clocks {
    fn read() -> Self {
        Self { steady: Instant::now(), wall: now() }
    }

    /// Whether the wall clock was put ahead since `before`, by so much that ages by it mean nothing. A machine that slept looks
    /// the same.
    fn are_ahead_of(&self, before: Self, keep: Duration) -> bool {
        let passed = self.steady.saturating_duration_since(before.steady).as_secs_f64();
        self.wall - before.wall - passed > (keep.as_secs_f64() / 8.0).max(LEAP)
    }
}

impl Rounds {
    /// Does what is due, and answers when the next is. What cannot be done is a warning, and is tried again.
    fn next(&mut self, manager: &StaleManager) -> Instant {
        let mut limits = manager.limits();
        let clocks = Clocks::read();
        let before = std::mem::replace(&mut self.clocks, clocks);
        let cap = limits.cap;
        let is_over = || cap.is_some_and(|cap| manager.store.stats().stored_bytes > cap);
        let mut is_due =
            limits.keep.is_some() && self.walk_at.is_none_or(|at| at <= Instant::now());
        if let Some(keep) = limits.keep
            && clocks.are_ahead_of(before, keep)
        {
            tracing::warn!(
                "the clock was put ahead: what is too old by it stays until the next look at all artifacts"
            );
            self.walk_at = Some(clocks.steady + walk_after(keep));
            is_due = false;
        }
        // By age only at a walk that is due.
        let keep = limits.keep;
        if !is_due {
            limits.keep = None;
        }
        let mut pause = if limits.cap.is_some() { LOOK } else { LATEST };
        if is_due || is_over() {
            match manager.enforce_now(&limits, false, Some(&|| manager.keeper.is_stopping())) {
                Ok(enforced) => {
                    tell(&enforced);
                    if enforced.is_over {
                        pause = PAUSE;
                    }
                }
                Err(PitError::Stopped { .. }) => {}
                Err(error) => {
                    tracing::warn!(
                        error = chain(&error),
                        "the store could not be kept to its limits; it is tried again"
                    );
                    pause = PAUSE;
                }
            }
        }
        let now = Instant::now();
        if let Some(keep) = keep.filter(|_| is_due) {
            self.walk_at = Some(now + walk_after(keep));
        }
        self.walk_at.map_or(now + pause, |walk_at| walk_at.min(now + pause))
    }
}

/// How long after a walk the next comes.
fn walk_after(keep: Duration) -> Duration {
    (keep / 8).clamp(SOONEST, LATEST)
}

fn tell(enforced: &Enforced) {
    let Enforced { sweep, stored_bytes, is_over } = enforced;
    if !(sweep.archived.is_empty() && sweep.deleted.is_empty()) {
        tracing::info!(
            archived = sweep.archived.len(),
            deleted = sweep.deleted.len(),
            deleted_bytes = sweep.deleted_bytes,
            stored_bytes,
            "the store was kept to its limits"
        );
    }
    for failure in &sweep.failures {
        tracing::warn!(artifact = %failure.id, error = chain(&failure.error), "an artifact beyond the limits stays");
    }
    if *is_over {
        tracing::warn!(
            stored_bytes,
            pinned = sweep.pinned,
            in_use = sweep.in_use,
            "the store is beyond its cap: what is left is pinned, in use, kept by a rule or new"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(number: u8, value: f64, size: u64) -> Candidate {
        Candidate { value, last_used: 0.0, size, id: ArtifactId::of(&[number]) }
    }

    #[test]
    fn the_least_valuable_that_suffice_are_kept_whatever_the_order() {
        let all: Vec<_> = (0..20).map(|number| candidate(number, f64::from(number), 10)).collect();
        for step in [1, 3, 7, 11, 19] {
            let mut least = Least::new(35);
            for at in 0..all.len() {
                least.offer(all[at * step % all.len()]);
            }
            let values: Vec<_> = least.heap.into_sorted_vec().iter().map(|one| one.value).collect();
            assert_eq!(values, [0.0, 1.0, 2.0, 3.0]);
        }
    }

    #[test]
    fn a_wall_clock_that_is_put_ahead_is_told_from_time_that_passed() {
        let before = Clocks { steady: Instant::now(), wall: 1000.0 };
        let after = |steady, wall| Clocks {
            steady: before.steady + Duration::from_secs(steady),
            wall: before.wall + wall,
        };
        let keep = Duration::from_secs(8 * 3600);
        assert!(!after(100_000, 100_000.0).are_ahead_of(before, keep));
        assert!(!after(10, 600.0).are_ahead_of(before, keep));
        assert!(!after(10, -600_000.0).are_ahead_of(before, keep));
        assert!(after(10, 3700.0).are_ahead_of(before, keep));
        assert!(!after(0, 4.0).are_ahead_of(before, Duration::from_secs(1)));
        assert!(after(0, 6.0).are_ahead_of(before, Duration::from_secs(1)));
    }

    /// A manager of one artifact that is older than `keep`, with a round that is due.
    fn aged(folder: &std::path::Path) -> (Arc<StaleManager>, ArtifactId, Rounds) {
        let config = crate::PitConfig::new(folder);
        let store = config.open_artifact_store().unwrap();
        let stale = config.open_stale_manager(Arc::clone(&store), None).unwrap();
        let id = store.put(b"old", &crate::artifact_store::PutOptions::default()).unwrap();
        *stale.limits.lock() = StoreLimits { keep: Some(Duration::from_millis(1)), cap: None };
        std::thread::sleep(component::span(FRESH + 0.1).unwrap());
        (stale, id, Rounds { walk_at: None, clocks: Clocks::read() })
    }

    #[test]
    fn after_a_clock_was_put_ahead_nothing_goes_before_the_walk_after() {
        let folder = tempfile::tempdir().unwrap();
        let (stale, id, mut rounds) = aged(folder.path());
        let is_archived = || stale.store.metadata(&id).unwrap().archived;
        rounds.clocks.wall -= 3600.0;
        let next = rounds.next(&stale);
        assert!(next > Instant::now(), "it is not tried again at once");
        assert!(!is_archived());
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        rounds.next(&stale);
        assert!(is_archived());
    }

    #[test]
    fn nothing_is_wanted_of_a_store_below_its_cap() {
        let mut least = Least::new(0);
        least.offer(candidate(1, 0.0, 10));
        assert!(least.heap.is_empty());
    }
}
