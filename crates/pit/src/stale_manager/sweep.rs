//! Doing what the rules say, to all artifacts.

use std::time::{Duration, Instant};

use super::manager::{Explanation, Ground, StaleManager, explanation};
use super::{Action, Rule};
use crate::artifact_store::{ArtifactId, Metadata, now};
use crate::{PitError, PitResult};

/// An artifact that could not be archived or deleted.
#[derive(Debug)]
pub struct SweepFailure {
    /// The artifact; it is still there.
    pub id: ArtifactId,
    /// Why.
    pub error: PitError,
}

/// How a sweep is done.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SweepOptions {
    /// Nothing is touched.
    pub dry_run: bool,
    /// The report says why, for each artifact that is touched or that only a pin or a user keeps from it.
    pub explain: bool,
    /// At most so many artifacts are archived or deleted; none: all.
    pub limit: Option<u64>,
    /// At most so many a second, so that a sweep in the background leaves the disk to others; none: as fast as it goes.
    pub rate: Option<f64>,
}

/// How often a sweep that goes slowly asks whether to give it up.
const ASKED_EVERY: Duration = Duration::from_millis(50);

/// What a sweep did, or with `dry_run` would have done.
#[derive(Debug, Default)]
pub struct SweepReport {
    /// Nothing was touched.
    pub dry_run: bool,
    /// Artifacts that were judged.
    pub examined: u64,
    /// Artifacts that stay as they are.
    pub kept: u64,
    /// Of these, because they are pinned.
    pub pinned: u64,
    /// Of these, because they are in use although a rule would have touched them.
    pub in_use: u64,
    /// Artifacts that were archived.
    pub archived: Vec<ArtifactId>,
    /// Artifacts that were deleted.
    pub deleted: Vec<ArtifactId>,
    /// The bytes of what was deleted.
    pub deleted_bytes: u64,
    /// Bytes given back to the disk beside those of large blobs, by rewriting sparse segments.
    pub reclaimed_bytes: u64,
    /// What could not be done; the sweep went on.
    pub failures: Vec<SweepFailure>,
    /// Why, where that was asked for.
    pub explained: Vec<Explanation>,
    /// The limit was reached, and not everything was judged.
    pub limited: bool,
}

impl StaleManager {
    /// Judges every artifact and does what the verdicts say; with `dry_run` only tells it.
    ///
    /// Runs on the calling thread and holds no lock across artifacts. One that is put, named or read between its
    /// judgement and its deletion stays.
    ///
    /// # Errors
    /// [`PitError::Index`], [`PitError::Stopped`]; failures of single artifacts are in the report.
    pub fn sweep(&self, dry_run: bool) -> PitResult<SweepReport> {
        self.sweep_with(&SweepOptions { dry_run, ..SweepOptions::default() }, None)
    }

    /// The same with limits, asking `interrupted` between artifacts whether to give it up: what was done by then is told in
    /// the report.
    ///
    /// # Errors
    /// As [`Self::sweep`]; the rate is no number above 0.
    pub fn sweep_with(
        &self,
        options: &SweepOptions,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> PitResult<SweepReport> {
        if let Some(rate) = options.rate.filter(|rate| rate.is_nan() || *rate <= 0.0) {
            let (what, value) = ("sweep rate", rate.to_string());
            return Err(PitError::Invalid { what, value, expected: "a number above 0" });
        }
        let mut report = SweepReport { dry_run: options.dry_run, ..SweepReport::default() };
        let rules = self.rules();
        let mut pace = Pace { began: Instant::now(), asked: Instant::now(), rate: options.rate };
        let swept = self.store.each(|artifact| {
            let touched = (report.archived.len() + report.deleted.len()) as u64;
            report.limited = options.limit.is_some_and(|limit| touched >= limit);
            if report.limited || pace.is_given_up(touched, options.dry_run, interrupted) {
                // Ends the walk; told apart from a failure below.
                return Err(PitError::Stopped { member: WALK_ENDED });
            }
            self.treat(&artifact, &rules, options, &mut report);
            Ok(())
        });
        match swept {
            Ok(()) | Err(PitError::Stopped { member: WALK_ENDED }) => {}
            Err(error) => return Err(error),
        }
        let touched = report.deleted.len() + report.archived.len();
        if touched > 0 && !options.dry_run {
            report.reclaimed_bytes = self.store.reclaim(interrupted)?;
        }
        Ok(report)
    }

    fn treat(
        &self,
        artifact: &Metadata,
        rules: &[Rule],
        options: &SweepOptions,
        report: &mut SweepReport,
    ) {
        report.examined += 1;
        let now = now();
        let (verdict, ground) = self.judge(rules, artifact, now);
        let is_spared = matches!(ground, Ground::Pinned | Ground::InUse(_));
        match verdict {
            Action::Keep => report.keep(&ground),
            // There already.
            Action::Archive if artifact.archived => {
                report.kept += 1;
                return;
            }
            Action::Archive => self.archive(artifact, now, report),
            Action::Delete => self.delete(artifact, report),
        }
        if options.explain && (verdict != Action::Keep || is_spared) {
            report.explained.push(explanation(rules, artifact, now, verdict, ground));
        }
    }

    pub(super) fn archive(&self, artifact: &Metadata, at: f64, report: &mut SweepReport) {
        match if report.dry_run { Ok(()) } else { self.store.archive_at(&artifact.id, at) } {
            Ok(()) => report.archived.push(artifact.id),
            Err(error) => report.fail(artifact.id, error),
        }
    }

    pub(super) fn delete(&self, artifact: &Metadata, report: &mut SweepReport) {
        let gone = if report.dry_run {
            Ok(true)
        } else {
            if self.pins.contains(&artifact.id) {
                return report.keep(&Ground::Pinned);
            }
            let mut gone = None;
            // Asked again, as a run may have come to hold it since it was judged.
            let user = self.in_use.unless_in_use(&artifact.id, &mut || {
                let _alone = self.deciding.lock();
                if self.pins.contains(&artifact.id) {
                    return false;
                }
                let deleted = self.store.delete_unchanged(artifact);
                // An error may have come after the record of the deletion.
                let is_gone = match &deleted {
                    Ok(deleted) => *deleted,
                    Err(_) => !self.store.exists(&artifact.id).unwrap_or(true),
                };
                gone = Some(deleted);
                is_gone
            });
            match (user, gone) {
                (Some(user), _) => return report.keep(&Ground::InUse(user)),
                (None, None) => return report.keep(&Ground::Pinned),
                (None, Some(gone)) => gone,
            }
        };
        match gone {
            Ok(true) => {
                report.deleted.push(artifact.id);
                report.deleted_bytes += artifact.size;
            }
            Ok(false) => report.kept += 1,
            Err(error) => report.fail(artifact.id, error),
        }
    }
}

/// What ends the walk over all artifacts early.
const WALK_ENDED: &str = "sweep";

/// How fast a sweep goes.
struct Pace {
    began: Instant,
    asked: Instant,
    rate: Option<f64>,
}

impl Pace {
    /// Waits until the next artifact may be touched. True: the sweep is to be given up.
    fn is_given_up(
        &mut self,
        touched: u64,
        dry_run: bool,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> bool {
        let due = self.rate.filter(|_| !dry_run).map(|rate| touched as f64 / rate);
        let due = due.and_then(component::span).unwrap_or_default();
        loop {
            if self.asked.elapsed() >= ASKED_EVERY {
                self.asked = Instant::now();
                if interrupted.is_some_and(|ask| ask()) {
                    return true;
                }
            }
            let left = due.saturating_sub(self.began.elapsed());
            if left.is_zero() {
                return false;
            }
            std::thread::sleep(left.min(ASKED_EVERY));
        }
    }
}

impl SweepReport {
    pub(super) fn keep(&mut self, ground: &Ground) {
        self.kept += 1;
        match ground {
            Ground::Pinned => self.pinned += 1,
            Ground::InUse(_) => self.in_use += 1,
            Ground::Rule(_) | Ground::NoRule => {}
        }
    }

    pub(super) fn fail(&mut self, id: ArtifactId, error: PitError) {
        // Deleted by someone else meanwhile: nothing is left to do.
        if !matches!(error, PitError::NotFound { .. }) {
            self.failures.push(SweepFailure { id, error });
        }
    }
}
