//! Opens a system: the supervisor first, so that it comes up while the manifests are read and the graph is planned.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use component::{Code, Diagnostic, Hint as _, Phase, chain};
use ipc::Bus;
use orchestra_kit::Kit;
use orchestra_kit::catalogue::Sources;
use orchestra_kit::host::{InProcess, ProcessHostOptions};
use orchestra_kit::manifest::{self, Member};
use orchestra_kit::melody::engine::{Engine, PolicyReceiver};
use orchestra_kit::sandbox::Places;
use orchestra_kit::supervisor::{Environment, Launch, Supervisor};
use orchestra_kit::trust::lock_file;
use orchestra_kit::{Catalogue, SourceReader, SystemManifest};
use parking_lot::Mutex;
use pit::stale_manager::StoreLimits;
use pit::{Durability, Pit};

use super::inherited::Inherited;
use super::options::SystemOptions;
use super::parts::Parts;
use super::safe_mode::{SafeBoot, Watch};
use super::state_folder::StateFolder;
use super::{extensions, foundation, members, safe_mode};
use crate::{
    AwaitedBy, BootEvent, BootOptions, Budgets, EventSink, Interruption, Outside, OutsideWork,
    PhaseLimits, Plan, Registry, Threads,
};

/// A system that is about to boot, or runs.
pub struct System {
    pub(super) parts: Arc<Parts>,
    threads: Threads,
    manifest: Option<SystemManifest>,
    catalogue: Arc<Catalogue>,
    members: Vec<Member>,
    safe: SafeBoot,
    store: StoreLimits,
    durability: manifest::Durability,
    replaced: Mutex<Vec<String>>,
    process: Mutex<ProcessHostOptions>,
    has_supervisor: bool,
}

impl System {
    /// Starts the supervisor, then reads the manifests.
    ///
    /// # Errors
    /// Every fault of the manifests at once; the supervisor is ended again.
    pub fn open(
        options: SystemOptions,
        reader: Option<&dyn SourceReader>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let launched = Instant::now();
        let supervisor = match &options.manifest {
            Some(manifest) if manifest.is_file() => Some(launch(&options)?),
            _ => None,
        };
        Self::with(options, reader, supervisor, launched)
    }

    /// Reads the manifests alone: a system that can be planned and drawn, not booted.
    ///
    /// # Errors
    /// As [`System::open`].
    pub fn described(options: SystemOptions) -> Result<Self, Vec<Diagnostic>> {
        Self::with(options, None, None, Instant::now())
    }

    fn with(
        options: SystemOptions,
        reader: Option<&dyn SourceReader>,
        supervisor: Option<Arc<Supervisor>>,
        launched: Instant,
    ) -> Result<Self, Vec<Diagnostic>> {
        let begun = Instant::now();
        let has_supervisor = options.manifest.is_some();
        let read = read(&options, reader);
        let (manifest, mut catalogue, members) = match read {
            Ok(read) => read,
            Err(faults) => {
                if let Some(supervisor) = supervisor {
                    ended(&supervisor);
                }
                return Err(faults);
            }
        };
        let written = manifest.as_ref().map(|manifest| manifest.store).unwrap_or_default();
        let store = StoreLimits {
            keep: options.store.keep.or(written.keep),
            cap: options.store.cap.or(written.cap),
        };
        let durability = options
            .durability
            .or_else(|| manifest.as_ref().map(|manifest| manifest.durability))
            .unwrap_or_default();
        let mut own_python = options.own_python;
        // As the system's `python` says, else the one that runs here.
        let python = options.python.clone().or_else(|| own_python.first().map(PathBuf::from));
        if let (Some(program), Some(python)) = (own_python.first_mut(), &options.python) {
            *program = python.to_string_lossy().into_owned();
        }
        let written_at =
            options.state.is_none().then(|| manifest.as_ref()?.state_at.clone()).flatten();
        let state =
            options.state.or_else(|| manifest.as_ref().map(|manifest| manifest.state.clone()));
        let state = StateFolder::new(state, &options.environment);
        if let Some(fault) = state.fault() {
            if let Some(supervisor) = supervisor {
                ended(&supervisor);
            }
            return Err(vec![fault.at(written_at)]);
        }
        // What only looks after a state knows nothing of the extensions that its boots start.
        let counted = manifest.is_some().then_some(&state);
        let mode = options.safe_mode.or_else(|| manifest.as_ref().map(|one| one.safe_mode));
        let (safe, record) =
            safe_mode::open(counted, mode.unwrap_or_default(), &options.without, &mut catalogue);
        let parts = Parts::new(state, record, supervisor, launched);
        let places = places(manifest.as_ref(), python, parts.state.path(), &options.environment);
        if manifest.is_some() {
            parts.outside.add(Outside {
                name: "manifests".into(),
                phase: Phase::Foundation,
                from: begun,
                to: Instant::now(),
                memory: 0,
                awaited_by: AwaitedBy::Engine,
            });
        }
        Ok(Self {
            parts: Arc::new(parts),
            threads: Threads::new("symphony-start", 2),
            manifest,
            catalogue: Arc::new(catalogue),
            members,
            safe,
            store,
            durability,
            replaced: Mutex::new(Vec::new()),
            process: Mutex::new(ProcessHostOptions {
                foreign_python: options.foreign_python,
                own_python,
                places,
                environment: options.environment,
                kernel: None,
                in_process: None,
            }),
            has_supervisor,
        })
    }

    /// A component of Symphony's own is overridden by its key: it will not be registered.
    pub fn replace(&self, key: &str) {
        self.replaced.lock().push(key.to_owned());
    }

    /// Has extensions served in this process; to be called before they are registered.
    pub fn serve_in_process(&self, server: Arc<dyn InProcess>) {
        self.process.lock().in_process = Some(server);
    }

    /// Adds every component of Symphony's own that is not replaced.
    pub fn register(&self, registry: &mut Registry) {
        let replaced = self.replaced.lock().clone();
        foundation::register(registry, &self.parts, &self.threads, self.has_supervisor, &replaced);
        members::register(
            registry,
            &self.parts,
            &self.threads,
            &self.members,
            &replaced,
            self.durability(),
            self.store,
        );
        extensions::register(
            registry,
            &self.parts,
            &self.threads,
            &extensions::Source {
                catalogue: &self.catalogue,
                manifest: self.manifest.as_ref(),
                members: &self.members,
                replaced: &replaced,
                process: &self.process.lock(),
                has_supervisor: self.has_supervisor,
            },
        );
    }

    /// What the manifest says of the boot itself.
    pub fn boot_options(&self) -> BootOptions {
        let outside = self.parts.outside.clone();
        let children = self.parts.children.clone();
        let grants = self.parts.grants.clone();
        let mut options = BootOptions { outside, children, grants, ..BootOptions::default() };
        let Some(manifest) = &self.manifest else { return options };
        options.system = Arc::from(manifest.name.as_str());
        options.budgets = Budgets {
            ready: manifest.budgets.ready,
            overhead: manifest.budgets.overhead,
            memory: manifest.budgets.memory.map(|bytes| bytes as f64 / f64::from(1 << 20)),
        };
        for (phase, limits) in &manifest.phases {
            let limits = PhaseLimits { timeout: limits.timeout, budget: limits.budget };
            options.phases.set(*phase, limits);
        }
        options
    }

    /// Leaves out of a registry what this boot goes on without, once everything is in it. Gives what the boot tells of it
    /// first, where it is a safe one.
    ///
    /// # Errors
    /// The caller named what is not there, or what the boot needs.
    pub fn leave_out(&self, registry: &mut Registry) -> Result<Option<BootEvent>, Vec<Diagnostic>> {
        self.safe.leave_out(registry, self.parts.record.as_ref())
    }

    /// The sink that writes down what starts in the boot of that plan, for a later one that has to do without it.
    pub fn recorder(&self, plan: &Plan, interruption: &Interruption) -> Option<Arc<dyn EventSink>> {
        self.parts.record.as_ref()?;
        let is_extension = |name: &str| self.catalogue.get(name).is_some();
        Some(Arc::new(Watch::new(&self.parts, plan, is_extension, interruption)))
    }

    /// The name in reports.
    pub fn name(&self) -> &str {
        self.manifest.as_ref().map_or("symphony", |manifest| &manifest.name)
    }

    /// The extensions that the manifests declare.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// The bus, once it was started.
    pub fn bus(&self) -> Option<Bus> {
        self.parts.bus.lock().clone()
    }

    /// The members that were started so far.
    pub fn pit(&self) -> Pit {
        self.parts.pit.lock().clone()
    }

    /// The Orchestra Kit, once it was started.
    pub fn kit(&self) -> Option<Kit> {
        self.parts.kit.lock().clone()
    }

    /// The engine that runs Melodies, once it was started.
    pub fn engine(&self) -> Option<Arc<Engine>> {
        self.parts.engine.lock().clone()
    }

    /// The Pit members of this system, replaced ones included.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Set when the system is asked to shut down: whoever waits for work to end looks at it.
    pub fn closing(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.parts.closing)
    }

    /// Set when the system is down: from then on every handle says so.
    pub fn closed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.parts.closed)
    }

    /// The manifest, in a system that has one.
    pub(super) const fn manifest(&self) -> Option<&SystemManifest> {
        self.manifest.as_ref()
    }

    /// The conductor thread's end of the engine's policy port; can be taken once.
    pub fn take_policy(&self) -> Option<PolicyReceiver> {
        self.parts.policy.lock().take()
    }

    /// Where work beside the engine is written down for the report.
    pub fn outside(&self) -> &OutsideWork {
        &self.parts.outside
    }

    /// Ends what was started before the boot began, and lets go of what the components made: handles say from now on
    /// that the system was stopped. To be called after every boot.
    pub fn close(&self) {
        self.parts.closed.store(true, Ordering::Release);
        let supervisor = self.parts.supervisor.lock().take();
        if let Some(supervisor) = supervisor {
            ended(&supervisor);
        }
        self.threads.close();
        // Taken out under the locks and dropped outside of them.
        let engine = self.parts.engine.lock().take();
        let kit = self.parts.kit.lock().take();
        let pit = std::mem::take(&mut *self.parts.pit.lock());
        let bus = self.parts.bus.lock().take();
        let stand_ins = std::mem::take(&mut *self.parts.stand_ins.lock());
        drop((engine, kit, pit, bus, stand_ins));
        // Its stop has done that, unless it failed or hung: then another system could not have the folder for as long as
        // anybody holds this one.
        if let Err(failure) = self.parts.state.release() {
            tracing::warn!(target: "symphony.boot", %failure, "the state folder was not let go of");
        }
    }

    /// What a forked child of this process must let go of, also after this value is gone: work that was given up goes on.
    pub fn inherited(&self) -> Inherited {
        Inherited::new(&self.parts)
    }

    fn durability(&self) -> Durability {
        match self.durability {
            manifest::Durability::Power => Durability::Power,
            manifest::Durability::Process => Durability::Process,
        }
    }
}

/// Ends a supervisor whose boot never began; that it had to be killed is a line in the log.
fn ended(supervisor: &Supervisor) {
    if let Err(error) = foundation::end(supervisor) {
        tracing::warn!(target: "symphony.boot", %error, "the supervisor did not end by itself");
    }
}

type Read = (Option<SystemManifest>, Catalogue, Vec<Member>);

fn read(
    options: &SystemOptions,
    reader: Option<&dyn SourceReader>,
) -> Result<Read, Vec<Diagnostic>> {
    let mut members = Member::ALL.to_vec();
    let mut manifest = None;
    let mut catalogue = Catalogue::default();
    if let Some(path) = &options.manifest {
        let mut system = SystemManifest::read(path)?;
        if let Some(workspace) = &options.workspace {
            system.workspace.clone_from(workspace);
        }
        if let Some(python) = &options.python {
            system.python = Some(python.clone());
        }
        members.clone_from(&system.members);
        let lock = lock_file(&options.environment);
        let sources = Sources { reader, lock: lock.as_deref(), ..Sources::default() };
        catalogue = Catalogue::read(&system, sources)?;
        manifest = Some(system);
    }
    if let Some(names) = &options.members {
        members = named(names)?;
    }
    let written = manifest.as_ref().map(|manifest| manifest.store).unwrap_or_default();
    let is_limited = !(options.store.is_none() && written.is_none());
    if is_limited && !members.contains(&Member::StaleManager) {
        let message =
            "the limits of `system.store` need `stale-manager`, which `members` leaves out";
        let mut fault = Diagnostic::error(Code::MANIFEST_INVALID, message.to_owned());
        fault.hint = Some("add `\"stale-manager\"` to `members`".to_owned());
        return Err(vec![fault]);
    }
    Ok((manifest, catalogue, members))
}

fn named(names: &[String]) -> Result<Vec<Member>, Vec<Diagnostic>> {
    let mut members = Vec::new();
    let mut faults = Vec::new();
    for name in names {
        match Member::parse(name) {
            Some(member) => members.push(member),
            None => faults.push(Diagnostic::error(
                Code::MANIFEST_INVALID,
                format!("the Pit has no member `{name}`"),
            )),
        }
    }
    if faults.is_empty() { Ok(members) } else { Err(faults) }
}

/// Where things are that permissions speak of.
fn places(
    manifest: Option<&SystemManifest>,
    python: Option<PathBuf>,
    state: &Path,
    environment: &Environment,
) -> Places {
    let Some(manifest) = manifest else { return Places::default() };
    let search = environment.get("PATH").map(|path| std::env::split_paths(path).collect());
    Places {
        workspace: manifest.workspace.clone(),
        system: manifest.folder.clone(),
        state: state.to_owned(),
        python,
        search: search.unwrap_or_default(),
    }
}

fn launch(options: &SystemOptions) -> Result<Arc<Supervisor>, Vec<Diagnostic>> {
    let mut command = options.supervisor.iter();
    let own = command.next().map(PathBuf::from);
    let program = options.python.clone().or(own).unwrap_or_default();
    Supervisor::start(Launch::new(program, command, &options.environment)).map_err(|error| {
        let mut fault = Diagnostic::error(Code::START_FAILED, chain(&error));
        fault.hint = error.hints().into_iter().next();
        vec![fault]
    })
}
