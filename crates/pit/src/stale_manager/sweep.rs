//! Doing what the rules say, to all artifacts.

use super::Action;
use super::manager::{Ground, StaleManager};
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
        let mut report = SweepReport { dry_run, ..SweepReport::default() };
        let rules = self.rules();
        self.store.each(|artifact| {
            report.examined += 1;
            let (verdict, ground) = self.judge(&rules, &artifact, now());
            match verdict {
                Action::Keep => report.keep(&ground),
                // There already.
                Action::Archive if artifact.archived => report.kept += 1,
                Action::Archive => self.archive(&artifact, &mut report),
                Action::Delete => self.delete(&artifact, &mut report),
            }
            Ok(())
        })?;
        let touched = report.deleted.len() + report.archived.len();
        if touched > 0 && !dry_run {
            report.reclaimed_bytes = self.store.reclaim()?;
        }
        Ok(report)
    }

    fn archive(&self, artifact: &Metadata, report: &mut SweepReport) {
        match if report.dry_run { Ok(()) } else { self.store.archive(&artifact.id) } {
            Ok(()) => report.archived.push(artifact.id),
            Err(error) => report.fail(artifact.id, error),
        }
    }

    fn delete(&self, artifact: &Metadata, report: &mut SweepReport) {
        let gone = if report.dry_run {
            Ok(true)
        } else {
            let _alone = self.deciding.lock();
            if self.pins.contains(&artifact.id) {
                return report.keep(&Ground::Pinned);
            }
            self.store.delete_unchanged(artifact)
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

impl SweepReport {
    fn keep(&mut self, ground: &Ground) {
        self.kept += 1;
        match ground {
            Ground::Pinned => self.pinned += 1,
            Ground::InUse(_) => self.in_use += 1,
            Ground::Rule(_) | Ground::NoRule => {}
        }
    }

    fn fail(&mut self, id: ArtifactId, error: PitError) {
        // Deleted by someone else meanwhile: nothing is left to do.
        if !matches!(error, PitError::NotFound { .. }) {
            self.failures.push(SweepFailure { id, error });
        }
    }
}
