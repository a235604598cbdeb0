//! The extensions of a system by their names, each in its seat, and the hosts that run them.
//!
//! The kit's other files call through it. A seat's extension changes at a swap; its number never does.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use component::{Health, did_you_mean};
use ipc::{Bus, CallOptions, CallerId, Payload};
use parking_lot::{Mutex, RwLock};

use super::call_cycles::{CallCycles, Version};
use crate::KitError;
use crate::catalogue::Catalogue;
use crate::error::ExtensionError;
use crate::extension::{
    Ended, Extension, ExtensionHandle, Report, StopReport, Timer, Trial, stop_all,
};
use crate::host::{
    Guest, Host, PitHost, ProcessHost, ProcessHostOptions, Router, Shares, Way, Workers,
};
use crate::manifest::{Activation, Execution, ExtensionManifest};
use crate::operations::Members;
use crate::sandbox::Enforcement;
use crate::supervisor::Supervisor;

/// How often the liveness of ready extensions is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What a kit is built from.
pub struct KitParts {
    /// The extensions.
    pub catalogue: Arc<Catalogue>,
    /// Who starts processes; none in a system without extensions.
    pub supervisor: Option<Arc<Supervisor>>,
    /// The bus, whose background thread serves the lanes.
    pub bus: Bus,
    /// The Pit's members.
    pub members: Members,
    /// How processes are started.
    pub process: ProcessHostOptions,
    /// The folder for the marks of Pit libraries that are being started; none: one that takes the process down is not
    /// quarantined.
    pub sentinels: Option<std::path::PathBuf>,
}

/// The Orchestra Kit. Clones are the same kit.
#[derive(Clone)]
pub struct Kit {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    /// What is known of the extensions; another one when a version was swapped.
    pub(super) catalogue: RwLock<Arc<Catalogue>>,
    /// Who answers to each name, in the order of the names.
    pub(super) seats: RwLock<Vec<Seat>>,
    pub(super) numbers: HashMap<String, u32>,
    /// Taken out by a swap, but not drained: stopped with the kit.
    pub(super) retired: Mutex<Vec<Arc<Extension>>>,
    pub(super) hosts: Hosts,
    /// Another one when a member was swapped; a call keeps the one that it began with.
    pub(super) members: RwLock<Arc<Members>>,
    bus: Bus,
    pub(super) workers: Arc<Workers>,
    pub(super) shares: Shares,
    /// Which extension waits for which.
    pub(super) cycles: Arc<CallCycles<Version>>,
    /// The engine's calls that are on their way, by its numbers.
    pub(super) calls: Mutex<HashMap<u64, Way>>,
    /// As whom the engine calls.
    pub(super) engine: CallerId,
}

/// Who answers to a name.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) extension: Arc<Extension>,
    /// Set while several versions share its calls.
    pub(super) trial: Option<Arc<Trial>>,
}

/// Where extensions run.
pub(super) struct Hosts {
    processes: Arc<dyn Host>,
    libraries: Arc<dyn Host>,
    timer: Arc<Timer>,
}

impl Hosts {
    pub(super) const fn timer(&self) -> &Arc<Timer> {
        &self.timer
    }

    /// An extension that runs where its manifest says.
    pub(super) fn extension(&self, manifest: Arc<ExtensionManifest>) -> Arc<Extension> {
        let host = Arc::clone(self.of(&manifest));
        Extension::new(manifest, host, Arc::clone(&self.timer))
    }

    /// Where that extension runs.
    fn of(&self, manifest: &ExtensionManifest) -> &Arc<dyn Host> {
        match manifest.execution {
            Execution::Process => &self.processes,
            Execution::Pit => &self.libraries,
        }
    }
}

impl Kit {
    /// Builds the kit; nothing is started yet.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(parts: KitParts) -> Result<Self, KitError> {
        let KitParts { catalogue, supervisor, bus, members, process, sentinels } = parts;
        let timer = Timer::start().map_err(|source| KitError::Thread { source })?;
        let workers = Arc::new(Workers::new());
        let inner = Arc::new_cyclic(|me: &Weak<Inner>| {
            let router: Weak<dyn Router> = Weak::<Inner>::clone(me);
            let processes: Arc<dyn Host> = match supervisor {
                Some(supervisor) => Arc::new(ProcessHost::new(
                    supervisor,
                    bus.clone(),
                    router,
                    Arc::clone(&timer),
                    process,
                )),
                None => Arc::new(NoProcesses),
            };
            let libraries: Arc<dyn Host> = Arc::new(PitHost::new(Arc::clone(&workers), sentinels));
            let hosts = Hosts { processes, libraries, timer: Arc::clone(&timer) };
            let seats: Vec<_> = catalogue
                .entries()
                .iter()
                .map(|entry| {
                    let extension = hosts.extension(Arc::clone(&entry.manifest));
                    Seat { extension, trial: None }
                })
                .collect();
            let numbers = seats
                .iter()
                .zip(0..)
                .map(|(seat, number)| (seat.extension.name().to_owned(), number))
                .collect();
            Inner {
                catalogue: RwLock::new(catalogue),
                seats: RwLock::new(seats),
                numbers,
                retired: Mutex::default(),
                hosts,
                members: RwLock::new(Arc::new(members)),
                bus,
                workers,
                shares: Shares::default(),
                cycles: Arc::default(),
                calls: Mutex::default(),
                engine: CallerId::new(),
            }
        });
        watch(&timer, Arc::downgrade(&inner), Instant::now());
        Ok(Self { inner })
    }

    /// The names of all extensions, sorted.
    pub fn names(&self) -> Vec<String> {
        let seats = self.inner.seats.read();
        seats.iter().map(|seat| seat.extension.name().to_owned()).collect()
    }

    /// The names of those that the boot starts, sorted.
    pub fn eager(&self) -> Vec<String> {
        let seats = self.inner.seats.read();
        let eager = seats
            .iter()
            .filter(|seat| seat.extension.manifest().activation == Activation::Eager)
            .map(|seat| seat.extension.name().to_owned());
        eager.collect()
    }

    /// The handle of an extension; it is started by its first call.
    ///
    /// # Errors
    /// [`ExtensionError::NotFound`].
    pub fn extension(&self, name: &str) -> Result<ExtensionHandle, ExtensionError> {
        self.inner.extension(name)
    }

    /// The catalogue.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.inner.catalogue.read())
    }

    /// The Pit's members, as they are at this moment.
    pub fn members(&self) -> Arc<Members> {
        self.inner.members()
    }

    /// Changes who answers for the Pit's members, at once for every call that comes after.
    pub fn change_members(&self, change: impl FnOnce(&mut Members)) {
        let before = {
            let mut members = self.inner.members.write();
            let mut changed = Members::clone(&members);
            change(&mut changed);
            std::mem::replace(&mut *members, Arc::new(changed))
        };
        // What is dropped with it may be the last of a member.
        drop(before);
    }

    /// The bus.
    pub fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    /// Calls `extension.operation` or `member.operation` and waits on this thread.
    ///
    /// # Errors
    /// [`KitError`].
    pub fn call(
        &self,
        call: &str,
        inputs: &Payload,
        options: &CallOptions,
    ) -> Result<Payload, KitError> {
        let Some((target, operation)) = call.split_once('.') else {
            return Err(KitError::UnknownOperation { call: call.to_owned() });
        };
        if crate::manifest::Member::parse(target).is_some() {
            return self.inner.members().call_named(call, inputs, options.deadline);
        }
        Ok(self.extension(target)?.call(operation, inputs, options)?)
    }

    /// How the extensions that run are, one line for all.
    pub fn health(&self) -> Health {
        let mut worst = Health::Healthy;
        for extension in &self.inner.all() {
            match (extension.health(), &worst) {
                (unhealthy @ Health::Unhealthy(_), _) => return unhealthy,
                (degraded @ Health::Degraded(_), Health::Healthy) => worst = degraded,
                _ => {}
            }
        }
        worst
    }

    /// What of an extension's permissions is enforced, grant by grant.
    ///
    /// # Errors
    /// [`ExtensionError::NotFound`].
    pub fn enforcement(&self, name: &str) -> Result<Vec<Enforcement>, ExtensionError> {
        Ok(self.inner.extension(name)?.enforcement())
    }

    /// Stops every extension, side by side, and returns by `deadline` at the latest.
    pub fn stop_all(&self, deadline: Instant) -> StopReport {
        stop_all(&self.inner.all(), deadline)
    }
}

impl Inner {
    pub(super) fn members(&self) -> Arc<Members> {
        Arc::clone(&self.members.read())
    }

    /// The handle of whoever has that number now.
    pub(super) fn at(&self, number: u32) -> Option<ExtensionHandle> {
        let seats = self.seats.read();
        let seat = seats.get(usize::try_from(number).ok()?)?;
        Some(ExtensionHandle::new(Arc::clone(&seat.extension), seat.trial.clone()))
    }

    pub(super) fn extension(&self, name: &str) -> Result<ExtensionHandle, ExtensionError> {
        let found = self.numbers.get(name).and_then(|number| self.at(*number));
        found.ok_or_else(|| self.not_found(name))
    }

    pub(super) fn not_found(&self, name: &str) -> ExtensionError {
        let mut known: Vec<_> = self.numbers.keys().map(String::as_str).collect();
        known.sort_unstable();
        let meant = did_you_mean(name, known).map(str::to_owned);
        ExtensionError::NotFound { name: name.to_owned(), meant }
    }

    /// Everything that may run: who answers, what is tried out, and what was taken out undrained.
    pub(super) fn all(&self) -> Vec<Arc<Extension>> {
        let mut all: Vec<Arc<Extension>> = Vec::new();
        for seat in self.seats.read().iter() {
            all.push(Arc::clone(&seat.extension));
            let tried = seat.trial.iter().flat_map(|trial| trial.variants());
            all.extend(
                tried
                    .map(|variant| &variant.extension)
                    .filter(|variant| !Arc::ptr_eq(variant, &seat.extension))
                    .cloned(),
            );
        }
        all.extend(self.retired.lock().iter().cloned());
        all
    }
}

/// Stands for the process host in a system without a supervisor.
struct NoProcesses;

impl Host for NoProcesses {
    fn start(&self, _: &Arc<ExtensionManifest>, _: Report) -> Result<Arc<dyn Guest>, Ended> {
        Err(Ended::NotStarted("the system has no supervisor".to_owned()))
    }
}

/// Looks at every ready extension from now on, until the kit is gone.
fn watch(timer: &Arc<Timer>, inner: Weak<Inner>, last: Instant) {
    let again = Arc::clone(timer);
    let weak_timer = Arc::downgrade(&again);
    drop(again);
    timer.after(LOOK, move || {
        let (Some(kit), Some(timer)) = (inner.upgrade(), weak_timer.upgrade()) else { return };
        // After this process itself did not run for a while (stopped, or the machine slept), nobody had a chance to
        // answer: they get it first.
        if last.elapsed() < LOOK * 3 {
            for extension in &kit.all() {
                extension.watch();
            }
        }
        drop(kit);
        watch(&timer, inner, Instant::now());
    });
}

impl std::fmt::Debug for Kit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Kit").field("extensions", &self.names()).finish_non_exhaustive()
    }
}
