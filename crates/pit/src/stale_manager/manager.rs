//! Judging artifacts by rules.
//!
//! Callers: the Pit's handle in Python, Melodies. Invariant: what is pinned or in use is kept, whatever the rules say.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::keeper::Keeper;
use super::pins::Pins;
use super::store_limits::StoreLimits;
use super::{Action, InUse, Rule};
use crate::artifact_store::{ArtifactId, ArtifactStore, Metadata, now};
use crate::{Durability, PitError, PitResult, StateGuard};

/// What is to be done with an artifact.
pub type Verdict = Action;

/// A verdict with its reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The artifact.
    pub id: ArtifactId,
    /// What is to be done.
    pub verdict: Verdict,
    /// The rule that decided; none when the artifact is pinned, in use, or no rule fits.
    pub rule: Option<String>,
    /// Why, as words.
    pub reason: String,
}

impl fmt::Display for Explanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.verdict.as_str())?;
        if let Some(rule) = &self.rule {
            write!(out, "rule `{rule}`: ")?;
        }
        out.write_str(&self.reason)
    }
}

/// Why a verdict is what it is, before it is put into words.
#[derive(Debug)]
pub(super) enum Ground {
    Pinned,
    InUse(String),
    Rule(usize),
    NoRule,
}

/// Judges, explains, pins and sweeps. All methods may be called from many threads.
pub struct StaleManager {
    pub(super) store: Arc<ArtifactStore>,
    pub(super) in_use: Arc<dyn InUse>,
    rules: RwLock<Arc<Vec<Rule>>>,
    pub(super) pins: Pins,
    /// Held while an artifact is pinned, and while one is deleted that was seen not to be.
    pub(super) deciding: Mutex<()>,
    pub(super) limits: Mutex<StoreLimits>,
    pub(super) keeper: Keeper,
}

impl StaleManager {
    /// Opens the manager; its pins are a journal in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// [`PitError::NotAFolder`], [`PitError::Io`], or [`PitError::Corrupt`] and [`PitError::Format`] of the journal.
    pub fn open(
        folder: &Path,
        durability: Durability,
        store: Arc<ArtifactStore>,
        in_use: Arc<dyn InUse>,
    ) -> PitResult<Arc<Self>> {
        Self::open_guarded(folder, durability, store, in_use, StateGuard::default())
    }

    /// The same under the lock of the state that it is part of, which is kept until the manager is closed.
    ///
    /// # Errors
    /// As [`Self::open`]; the guard is let go of.
    pub fn open_guarded(
        folder: &Path,
        durability: Durability,
        store: Arc<ArtifactStore>,
        in_use: Arc<dyn InUse>,
        guard: StateGuard,
    ) -> PitResult<Arc<Self>> {
        if folder.is_file() {
            return Err(PitError::NotAFolder { path: folder.to_owned(), found: "a file" });
        }
        crate::disk::make_folder(folder).map_err(PitError::io("create the folder", folder))?;
        let pins = Pins::open(&folder.join("pins"), durability, guard)?;
        let (rules, deciding) = (RwLock::default(), Mutex::new(()));
        let (limits, keeper) = (Mutex::default(), Keeper::default());
        Ok(Arc::new(Self { store, in_use, rules, pins, deciding, limits, keeper }))
    }

    /// What the store keeps.
    pub fn limits(&self) -> StoreLimits {
        *self.limits.lock()
    }

    /// Ends what goes on in the background and lets go of its files: nothing is pinned or unpinned afterwards.
    ///
    /// # Errors
    /// [`PitError::Io`] where the pins could not be flushed; their file is let go of all the same.
    pub fn close(&self) -> PitResult<()> {
        self.keeper.stop();
        self.pins.close()
    }

    /// Adds a rule after those that are there, or replaces the one of its name. Rules are not kept on disk.
    ///
    /// # Errors
    /// [`PitError::Invalid`] for a rule without a name, or one that would delete everything.
    pub fn rule(&self, rule: Rule) -> PitResult<()> {
        rule.check()?;
        let mut rules = self.rules.write();
        let mut changed = Vec::clone(&rules);
        match changed.iter_mut().find(|known| known.name == rule.name) {
            Some(known) => *known = rule,
            None => changed.push(rule),
        }
        *rules = Arc::new(changed);
        Ok(())
    }

    /// The rules, in the order in which they are asked.
    pub fn rules(&self) -> Arc<Vec<Rule>> {
        Arc::clone(&self.rules.read())
    }

    /// What is to be done with the artifact now.
    ///
    /// # Errors
    /// [`PitError::NotFound`], [`PitError::Index`].
    pub fn evaluate(&self, id: &ArtifactId) -> PitResult<Verdict> {
        let artifact = self.store.metadata(id)?;
        Ok(self.judge(&self.rules(), &artifact, now()).0)
    }

    /// The verdict with the rule and the reason.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn explain(&self, id: &ArtifactId) -> PitResult<Explanation> {
        let artifact = self.store.metadata(id)?;
        let (rules, now) = (self.rules(), now());
        let (verdict, ground) = self.judge(&rules, &artifact, now);
        Ok(explanation(&rules, &artifact, now, verdict, ground))
    }

    /// Keeps the artifact whatever the rules say, until it is unpinned. Answers whether it was not pinned before.
    ///
    /// # Errors
    /// [`PitError::NotFound`], [`PitError::Io`].
    pub fn pin(&self, id: &ArtifactId) -> PitResult<bool> {
        let _alone = self.deciding.lock();
        self.store.metadata(id)?;
        self.pins.set(id, true)
    }

    /// Gives the artifact back to the rules. Answers whether it was pinned.
    ///
    /// # Errors
    /// [`PitError::Io`], [`PitError::Stopped`] once the store is closed.
    pub fn unpin(&self, id: &ArtifactId) -> PitResult<bool> {
        // Until it is acknowledged nothing deletes what the journal may still call pinned.
        let _alone = self.deciding.lock();
        self.store.check_open()?;
        self.pins.set(id, false)
    }

    /// The pinned artifacts, sorted.
    pub fn pinned(&self) -> Vec<ArtifactId> {
        self.pins.all()
    }

    pub(super) fn judge(&self, rules: &[Rule], artifact: &Metadata, now: f64) -> (Verdict, Ground) {
        let fitting = rules.iter().position(|rule| rule.fits(artifact, now));
        let verdict = fitting.and_then(|rule| rules.get(rule)).map_or(Action::Keep, |r| r.action);
        if self.pins.contains(&artifact.id) {
            return (Action::Keep, Ground::Pinned);
        }
        // Only what would be touched is worth asking about.
        if verdict != Action::Keep
            && let Some(user) = self.in_use.in_use(&artifact.id)
        {
            return (Action::Keep, Ground::InUse(user));
        }
        (verdict, fitting.map_or(Ground::NoRule, Ground::Rule))
    }
}

/// A verdict in words.
pub(super) fn explanation(
    rules: &[Rule],
    artifact: &Metadata,
    now: f64,
    verdict: Verdict,
    ground: Ground,
) -> Explanation {
    let mut deciding = None;
    let reason = match ground {
        Ground::Pinned => "it is pinned".to_owned(),
        Ground::InUse(user) => format!("it is in use by {user}"),
        Ground::NoRule => "no rule fits it".to_owned(),
        Ground::Rule(number) => {
            let rule = rules.get(number);
            deciding = rule.map(|rule| rule.name.clone());
            rule.map(|rule| rule.reasons(artifact, now)).unwrap_or_default()
        }
    };
    Explanation { id: artifact.id, verdict, rule: deciding, reason }
}

impl fmt::Debug for StaleManager {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("StaleManager")
            .field("rules", &self.rules.read())
            .field("pins", &self.pins)
            .finish_non_exhaustive()
    }
}
