//! Another version of an extension takes its name while the system runs, or several share its calls for a while.
//!
//! Called by Python's door. Invariants: until the name is redirected nobody sees the new version, and any failure leaves
//! the old one as it was; calls in flight end where they began; whatever was taken out is stopped once, when its last
//! call has ended or else with the kit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::extensions::{Inner, Kit, Seat};
use crate::KitError;
use crate::catalogue::Catalogue;
use crate::error::ExtensionError;
use crate::extension::{
    Extension, ExtensionHandle, StopReport, Tag, Trial, Variant, VariantReport, stop_all,
};
use crate::manifest::ExtensionManifest;

/// How often a drain looks whether the last call has ended.
const LOOK: Duration = Duration::from_millis(2);
/// How long what was drained may take to stop.
const STOP: Duration = Duration::from_millis(2500);

/// What became of a version that was taken out.
#[derive(Debug, Clone)]
pub struct TakenOut {
    /// Its manifest.
    pub manifest: Arc<ExtensionManifest>,
    /// Whether its last call had ended in time; if not, it is left running and stopped with the kit.
    pub drained: bool,
    /// How many holders it had when it was given up: calls in flight, streams that are still read.
    pub holders: usize,
    /// How its stop went.
    pub stop: StopReport,
}

/// A version that is ready and that nobody is given yet. Dropped, it ends.
pub struct Candidate {
    extension: Arc<Extension>,
}

impl Candidate {
    /// Its manifest.
    pub fn manifest(&self) -> &Arc<ExtensionManifest> {
        self.extension.manifest()
    }

    /// The operations that it said it has.
    pub fn operations(&self) -> Vec<String> {
        let handle = ExtensionHandle::new(Arc::clone(&self.extension), None);
        let operations = handle.operations().unwrap_or_default();
        operations.into_iter().map(|operation| operation.name).collect()
    }

    /// Its process, where it has one of its own.
    pub fn pid(&self) -> Option<u32> {
        ExtensionHandle::new(Arc::clone(&self.extension), None).pid()
    }
}

/// Several versions that share the calls of one name.
pub struct Tried {
    kit: Kit,
    name: String,
    trial: Arc<Trial>,
}

impl Kit {
    /// Starts another version of an extension beside the one that answers, and waits for its handshake.
    ///
    /// # Errors
    /// Why it is not ready; it is ended then.
    pub fn bring_up(
        &self,
        manifest: Arc<ExtensionManifest>,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Candidate, ExtensionError> {
        let deadline = Instant::now() + manifest.start_deadline() + Duration::from_millis(100);
        let extension = self.inner.hosts.extension(manifest);
        let ready = ExtensionHandle::new(Arc::clone(&extension), None)
            .activate_polling(Some(deadline), poll);
        if let Err(error) = ready {
            stop_all(&[extension], Instant::now() + Duration::from_millis(300));
            return Err(error);
        }
        Ok(Candidate { extension })
    }

    /// Gives the name to another version, and with it every call from now on. What had the name is drained for as long
    /// as that, and stopped.
    ///
    /// # Errors
    /// [`ExtensionError::NotFound`]; or several versions share its calls: then this one is ended.
    pub fn swap(
        &self,
        candidate: &Candidate,
        catalogue: Catalogue,
        drain: Duration,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<TakenOut, KitError> {
        let name = candidate.manifest().name.value.clone();
        let old = self.inner.with_seat(&name, |seat| {
            if seat.trial.is_some() {
                return Err(tried(&name));
            }
            let new = Arc::clone(&candidate.extension);
            Ok(std::mem::replace(&mut seat.extension, new))
        })??;
        *self.inner.catalogue.write() = Arc::new(catalogue);
        Ok(self.take_out(old, drain, poll))
    }

    /// Several versions share the calls of a name. The one that has it now takes part under the name that comes without
    /// a candidate; `key` names the input that keeps calls together.
    ///
    /// # Errors
    /// [`ExtensionError::NotFound`]; or several versions share its calls already.
    pub fn try_out(
        &self,
        name: &str,
        variants: Vec<(String, f64, Option<Candidate>)>,
        key: Option<String>,
        seed: u64,
        tag: Option<Tag>,
    ) -> Result<Tried, KitError> {
        let trial = self.inner.with_seat(name, |seat| {
            if seat.trial.is_some() {
                return Err(tried(name));
            }
            let standing = &seat.extension;
            let variants = variants.into_iter().map(|(name, share, candidate)| {
                let extension = candidate.map_or_else(|| Arc::clone(standing), |one| one.extension);
                Variant::new(name, share, extension)
            });
            let trial = Arc::new(Trial::new(variants.collect(), key, seed, tag));
            seat.trial = Some(Arc::clone(&trial));
            Ok(trial)
        })??;
        Ok(Tried { kit: self.clone(), name: name.to_owned(), trial })
    }

    /// Waits until nobody calls what was taken out any more, and stops it.
    fn take_out(
        &self,
        old: Arc<Extension>,
        drain: Duration,
        poll: Option<&dyn Fn() -> bool>,
    ) -> TakenOut {
        let manifest = Arc::clone(old.manifest());
        let until = Instant::now().checked_add(drain);
        // Every call holds the version that it runs on, and nobody is given it any more: the last one leaves this alone.
        let mut holders = Arc::strong_count(&old) - 1;
        while holders > 0
            && until.is_none_or(|until| Instant::now() < until)
            && !poll.is_some_and(|poll| poll())
        {
            std::thread::sleep(LOOK);
            holders = Arc::strong_count(&old) - 1;
        }
        if holders > 0 {
            self.inner.retired.lock().push(old);
            return TakenOut { manifest, drained: false, holders, stop: StopReport::default() };
        }
        let stop = stop_all(&[old], Instant::now() + STOP);
        TakenOut { manifest, drained: true, holders, stop }
    }
}

impl Tried {
    /// What each version did so far.
    pub fn report(&self) -> Vec<VariantReport> {
        self.trial.report()
    }

    /// Ends it: that version has the name from now on, or the one that had it before. The others are drained and
    /// stopped. `catalogue` is what is known of the extensions then.
    ///
    /// # Errors
    /// It has ended already, or there is no such version.
    pub fn end(
        self,
        promoted: Option<&str>,
        catalogue: Option<Catalogue>,
        drain: Duration,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Vec<TakenOut>, KitError> {
        let Self { kit, name, trial } = self;
        let chosen = match promoted {
            None => None,
            Some(promoted) => {
                let found = trial.variants().iter().find(|variant| variant.name == promoted);
                let Some(found) = found else {
                    let what = format!("there is no variant `{promoted}`");
                    return Err(KitError::InvalidValue { what });
                };
                Some(Arc::clone(&found.extension))
            }
        };
        let (winner, before) = kit.inner.with_seat(&name, |seat| {
            seat.trial = None;
            let before = Arc::clone(&seat.extension);
            if let Some(chosen) = chosen {
                seat.extension = chosen;
            }
            (Arc::clone(&seat.extension), before)
        })?;
        if let Some(catalogue) = catalogue {
            *kit.inner.catalogue.write() = Arc::new(catalogue);
        }
        let until = Instant::now().checked_add(drain);
        let variants = alone(trial, until, poll);
        let mut losers: Vec<Arc<Extension>> = vec![before];
        losers.extend(variants);
        losers.retain(|loser| !Arc::ptr_eq(loser, &winner));
        drop(winner);
        // The one that had the name before may have been a variant too.
        losers.sort_by_key(Arc::as_ptr);
        losers.dedup_by(|one, other| Arc::ptr_eq(one, other));
        let left = || until.map_or(drain, |until| until.saturating_duration_since(Instant::now()));
        Ok(losers.into_iter().map(|loser| kit.take_out(loser, left(), poll)).collect())
    }
}

/// The versions of a trial, once no call is about to choose among them.
fn alone(
    trial: Arc<Trial>,
    until: Option<Instant>,
    poll: Option<&dyn Fn() -> bool>,
) -> Vec<Arc<Extension>> {
    let mut trial = trial;
    loop {
        match Arc::try_unwrap(trial) {
            Ok(trial) => {
                return trial.into_variants().into_iter().map(|one| one.extension).collect();
            }
            Err(shared) => trial = shared,
        }
        let over = until.is_some_and(|until| Instant::now() >= until);
        if over || poll.is_some_and(|poll| poll()) {
            // What still holds the trial holds its versions: they are seen not to be drained.
            return trial.variants().iter().map(|one| Arc::clone(&one.extension)).collect();
        }
        std::thread::sleep(LOOK);
    }
}

fn tried(name: &str) -> KitError {
    KitError::InvalidValue { what: format!("an experiment runs on extension `{name}`") }
}

impl Inner {
    /// Changes what answers to a name, at once for every call that comes after.
    fn with_seat<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Seat) -> T,
    ) -> Result<T, ExtensionError> {
        let mut seats = self.seats.write();
        let place = self.numbers.get(name).and_then(|number| usize::try_from(*number).ok());
        let seat = place.and_then(|place| seats.get_mut(place));
        seat.map(change).ok_or_else(|| self.not_found(name))
    }
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Candidate").field(&self.extension.name()).finish()
    }
}

impl std::fmt::Debug for Tried {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Tried").field(&self.name).finish()
    }
}
