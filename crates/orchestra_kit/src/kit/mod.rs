//! The Orchestra Kit: every extension of a system behind one door, with the Pit beside them.
//!
//! Built by `boot_orchestrator`, called by Python's door and by the Melody engine. Invariants: extensions come from the
//! catalogue alone; a guest reaches only what its manifest grants; nothing is started that was not called for.

mod calls;
mod enforcement;
mod route;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use component::{Health, did_you_mean};
use ipc::{Bus, CallOptions, Payload};
use parking_lot::Mutex;

pub use enforcement::{Enforcement, Level};

use crate::KitError;
use crate::catalogue::Catalogue;
use crate::error::ExtensionError;
use crate::extension::{
    Call, Ended, Extension, ExtensionHandle, Report, StopReport, Timer, stop_all,
};
use crate::host::{Guest, Host, PitHost, ProcessHost, ProcessHostOptions, Router, Workers};
use crate::manifest::{Activation, Execution, ExtensionManifest};
use crate::operations::Members;
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
    inner: Arc<Inner>,
}

struct Inner {
    catalogue: Arc<Catalogue>,
    /// In the catalogue's order, which is that of the names.
    extensions: Vec<Arc<Extension>>,
    numbers: HashMap<String, u32>,
    members: Members,
    bus: Bus,
    workers: Arc<Workers>,
    /// The engine's calls that are on their way, by its numbers.
    calls: Mutex<HashMap<u64, Call>>,
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
            let extensions: Vec<_> = catalogue
                .entries()
                .iter()
                .map(|entry| {
                    let host = match entry.manifest.execution {
                        Execution::Process => &processes,
                        Execution::Pit => &libraries,
                    };
                    let manifest = Arc::clone(&entry.manifest);
                    Extension::new(manifest, Arc::clone(host), Arc::clone(&timer))
                })
                .collect();
            let numbers = extensions
                .iter()
                .zip(0..)
                .map(|(extension, number)| (extension.name().to_owned(), number))
                .collect();
            Inner { catalogue, extensions, numbers, members, bus, workers, calls: Mutex::default() }
        });
        watch(&timer, Arc::downgrade(&inner), Instant::now());
        Ok(Self { inner })
    }

    /// The names of all extensions, sorted.
    pub fn names(&self) -> Vec<&str> {
        self.inner.extensions.iter().map(|extension| extension.name()).collect()
    }

    /// The names of those that the boot starts, sorted.
    pub fn eager(&self) -> Vec<&str> {
        let eager =
            |extension: &&Arc<Extension>| extension.manifest().activation == Activation::Eager;
        self.inner.extensions.iter().filter(eager).map(|extension| extension.name()).collect()
    }

    /// The handle of an extension; it is started by its first call.
    ///
    /// # Errors
    /// [`ExtensionError::NotFound`].
    pub fn extension(&self, name: &str) -> Result<ExtensionHandle, ExtensionError> {
        self.inner.extension(name)
    }

    /// The catalogue.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.inner.catalogue
    }

    /// The Pit's members.
    pub fn members(&self) -> &Members {
        &self.inner.members
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
            return self.inner.members.call_named(call, inputs, options.deadline);
        }
        Ok(self.extension(target)?.call(operation, inputs, options)?)
    }

    /// How the extensions that run are, one line for all.
    pub fn health(&self) -> Health {
        let mut worst = Health::Healthy;
        for extension in &self.inner.extensions {
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
        let extension = self.inner.extension(name)?;
        Ok(enforcement::of(extension.manifest()))
    }

    /// Stops every extension, side by side, and returns by `deadline` at the latest.
    pub fn stop_all(&self, deadline: Instant) -> StopReport {
        stop_all(&self.inner.extensions, deadline, false)
    }
}

impl Inner {
    fn extension(&self, name: &str) -> Result<ExtensionHandle, ExtensionError> {
        let place = self.numbers.get(name).and_then(|number| usize::try_from(*number).ok());
        if let Some(extension) = place.and_then(|place| self.extensions.get(place)) {
            return Ok(ExtensionHandle::new(Arc::clone(extension)));
        }
        let known = self.extensions.iter().map(|extension| extension.name());
        let meant = did_you_mean(name, known).map(str::to_owned);
        Err(ExtensionError::NotFound { name: name.to_owned(), meant })
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
            for extension in &kit.extensions {
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
