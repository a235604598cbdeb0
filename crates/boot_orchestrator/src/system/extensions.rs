//! Phase `orchestra_kit`: the kit with both hosts, the engine of Melodies, and every eager extension.

use std::sync::Arc;
use std::time::{Duration, Instant};

use component::{
    Code, Component, ComponentGraph as _, Descriptor, Done, Failure, Health, Key, Need, Phase,
    Step, Work,
};
use orchestra_kit::host::ProcessHostOptions;
use orchestra_kit::manifest::{Activation, Member};
use orchestra_kit::melody::engine::{Engine, EngineOptions, PolicyPort};
use orchestra_kit::operations::Members;
use orchestra_kit::{Catalogue, ExtensionError, ExtensionHandle, Kit, KitParts, SystemManifest};
use pit::dag_tracker::DagTracker;

use super::child_starts;
use super::own::Own;
use super::parts::Parts;
use super::replaced::is_replaced;
use crate::{Blocking, Registry, Threads};

/// How long the kit may take to stop what runs: ask, SIGTERM, SIGKILL.
const STOP: Duration = Duration::from_millis(2500);

/// How long a stop that was given up may take to kill.
const KILL: Duration = Duration::from_millis(250);

/// The engine's deadline lies a little after the kit's own, so that the kit's word on what went wrong comes first.
const SLACK: Duration = Duration::from_millis(100);

/// What the phase is registered from.
pub(super) struct Source<'a> {
    pub(super) catalogue: &'a Arc<Catalogue>,
    pub(super) manifest: Option<&'a SystemManifest>,
    pub(super) members: &'a [Member],
    pub(super) replaced: &'a [String],
    pub(super) process: &'a ProcessHostOptions,
    pub(super) has_supervisor: bool,
}

pub(super) fn register(
    registry: &mut Registry,
    parts: &Arc<Parts>,
    threads: &Threads,
    source: &Source<'_>,
) {
    if is_replaced(Own::OrchestraKit.name(), source.replaced) {
        return;
    }
    kit(registry, parts, threads, source);
    for entry in source.catalogue.entries() {
        let manifest = &entry.manifest;
        if manifest.activation != Activation::Eager {
            continue;
        }
        let mut descriptor = Descriptor::new(entry.name(), Phase::OrchestraKit)
            .provides(Key::named(entry.name()))
            .needs(Need::one(Own::OrchestraKit.key()));
        for required in &manifest.requires {
            let is_eager = |name: &str| {
                source
                    .catalogue
                    .get(name)
                    .is_some_and(|entry| entry.manifest.activation == Activation::Eager)
            };
            let is_member = source.members.iter().any(|member| member.as_str() == required.value);
            if is_eager(&required.value) || is_member && !source.replaced.contains(&required.value)
            {
                let mut edge = Need::one(Key::named(required.value.clone()));
                edge.location = Some(required.at.clone());
                descriptor = descriptor.needs(edge);
            }
        }
        descriptor.required = manifest.required;
        descriptor.deadline = Some(manifest.start_deadline() + SLACK);
        descriptor.work = Work::Other;
        descriptor.location = Some(manifest.name.at.clone());
        let component = EagerExtension { parts: Arc::clone(parts), name: entry.name().to_owned() };
        registry.add(descriptor, Arc::new(component));
    }
}

fn kit(registry: &mut Registry, parts: &Arc<Parts>, threads: &Threads, source: &Source<'_>) {
    let (starting, asked, stopping) = (Arc::clone(parts), Arc::clone(parts), Arc::clone(parts));
    let catalogue = Arc::clone(source.catalogue);
    let slots = source.manifest.and_then(|manifest| manifest.slots);
    let process = source.process.clone();
    let component = Blocking::new(threads, move || {
        start(&starting, &catalogue, slots, process.clone()).map(|()| Health::Healthy)
    })
    .health(move || Ok(asked.kit.lock().clone().map_or(Health::Healthy, |kit| kit.health())))
    .stop(move || stop(&stopping));
    let descriptor = Own::OrchestraKit.descriptor(|needed| match needed {
        Own::Supervisor => source.has_supervisor,
        // A caller's own bus has no lanes, so the core's is there beside it.
        Own::IpcBus => true,
        needed => !is_replaced(needed.name(), source.replaced),
    });
    registry.add(descriptor, Arc::new(component));
}

fn start(
    parts: &Parts,
    catalogue: &Arc<Catalogue>,
    slots: Option<u32>,
    process: ProcessHostOptions,
) -> Result<(), Failure> {
    let Some(bus) = parts.bus.lock().clone() else {
        return Err(Failure::new(Code::INTERNAL, "the bus was not started"));
    };
    let pit = parts.pit.lock().clone();
    let mut members = Members {
        artifacts: pit.artifacts,
        dag: pit.dag.clone(),
        pool: pit.pool,
        stale: pit.stale,
        ..Members::default()
    };
    if let Some(engine) = pit.arbitration {
        members = members.with_arbitration(engine);
    }
    let kit = Kit::new(KitParts {
        catalogue: Arc::clone(catalogue),
        supervisor: parts.supervisor.lock().clone(),
        bus,
        members,
        process,
        sentinels: Some(parts.state.path().join("sentinels")),
    })
    .map_err(|error| failure(&error))?;
    let (port, receiver) = PolicyPort::new();
    let mut options = EngineOptions { policy: Some(port), ..EngineOptions::default() };
    if let Some(slots) = slots {
        options.slots = slots as usize;
    }
    let dag = pit.dag.unwrap_or_else(DagTracker::in_memory);
    let engine = Engine::new(Arc::new(kit.clone()), dag, options)
        .map_err(|error| Failure::from_error(Code::START_FAILED, &error))?;
    *parts.policy.lock() = Some(receiver);
    *parts.kit.lock() = Some(kit);
    *parts.engine.lock() = Some(engine);
    Ok(())
}

fn stop(parts: &Parts) -> Result<(), Failure> {
    let engine = parts.engine.lock().clone();
    if let Some(engine) = engine {
        engine.shutdown();
    }
    let kit = parts.kit.lock().clone();
    let Some(kit) = kit else { return Ok(()) };
    let report = kit.stop_all(Instant::now() + STOP);
    if report.unfinished.is_empty() {
        return Ok(());
    }
    let names = report.unfinished.join("`, `");
    Err(Failure::new(Code::STOP_TIMEOUT, format!("`{names}` did not end though killed")))
}

fn failure(error: &(impl component::Hint + 'static)) -> Failure {
    let mut failure = Failure::from_error(error.code(), error);
    failure.hints = error.hints();
    failure
}

/// An extension that the boot starts and the gate asks.
struct EagerExtension {
    parts: Arc<Parts>,
    name: String,
}

impl EagerExtension {
    fn handle(&self) -> Result<ExtensionHandle, Failure> {
        let kit = self
            .parts
            .kit
            .lock()
            .clone()
            .ok_or_else(|| Failure::new(Code::INTERNAL, "the Orchestra Kit was not started"))?;
        kit.extension(&self.name).map_err(|error: ExtensionError| failure(&error))
    }
}

impl Component for EagerExtension {
    fn begin(&self, step: Step, done: Done) {
        let handle = match self.handle() {
            Ok(handle) => handle,
            Err(failure) => return done.tell(Err(failure)),
        };
        let parts = Arc::clone(&self.parts);
        match step {
            Step::Start => handle.clone().activated(move |ready| {
                child_starts::of_extension(&parts, &handle);
                if let (Err(error), Some(record)) = (&ready, &parts.record)
                    && error.is_of_the_system()
                {
                    record.excuse(handle.name());
                }
                done.tell(ready.map(|()| Health::Healthy).map_err(|error| failure(&error)));
            }),
            Step::Health => done.tell(Ok(handle.health())),
            Step::Stop => {
                // A thread of its own: many extensions stop side by side, each waiting for its process.
                let end = move || {
                    handle.stop(Instant::now() + STOP);
                    done.tell(Ok(Health::Healthy));
                };
                let spawned = std::thread::Builder::new().name("symphony-stop".into()).spawn(end);
                if let Err(error) = spawned {
                    tracing::error!(target: "symphony.boot", %error, extension = %self.name, "no thread to stop it");
                }
            }
        }
    }

    fn give_up(&self, _step: Step) -> Option<String> {
        let handle = self.handle().ok()?;
        let lines = handle.fault().map(|fault| fault.to_string());
        let kill = move || drop(handle.stop(Instant::now() + KILL));
        let spawned = std::thread::Builder::new().name("symphony-stop".into()).spawn(kill);
        if let Err(error) = spawned {
            tracing::error!(target: "symphony.boot", %error, extension = %self.name, "no thread to kill it");
        }
        lines
    }
}
