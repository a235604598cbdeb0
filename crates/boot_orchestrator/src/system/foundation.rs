//! Phase `foundation` and phase `ipc_bus`: the state folder, the supervisor's process, the bus.

use std::sync::Arc;
use std::time::{Duration, Instant};

use component::{Code, ComponentGraph as _, Failure, Health, Hint as _, Key, Phase, Work};
use ipc::Bus;
use orchestra_kit::SupervisorError;
use orchestra_kit::supervisor::Supervisor;

use super::child_starts;
use super::own::Own;
use super::parts::Parts;
use super::replaced::is_replaced;
use super::state_place::StatePlace;
use crate::{AwaitedBy, Blocking, Immediate, Outside, Registry, Threads};

/// How long the supervisor may take until it is up.
const SUPERVISOR_DEADLINE: Duration = Duration::from_secs(10);

/// How long it may take to end, before it is killed itself.
const SUPERVISOR_END: Duration = Duration::from_millis(400);

pub(super) fn register(
    registry: &mut Registry,
    parts: &Arc<Parts>,
    threads: &Threads,
    has_supervisor: bool,
    replaced: &[String],
) {
    state(registry, parts, threads);
    if has_supervisor {
        supervisor(registry, parts, threads);
    }
    bus(registry, parts, replaced);
}

fn state(registry: &mut Registry, parts: &Arc<Parts>, threads: &Threads) {
    let (taking, asked, releasing) = (Arc::clone(parts), Arc::clone(parts), Arc::clone(parts));
    let own = Blocking::new(threads, move || {
        taking.state.take()?;
        if let Some(record) = &taking.record {
            record.begin();
        }
        Ok(Health::Healthy)
    })
    .health(move || Ok(asked.state.health()))
    .stop(move || releasing.state.release());
    let place = StatePlace { own, parts: Arc::clone(parts) };
    registry.add(Own::State.descriptor(|_| true), Arc::new(place));
}

/// The process was started when the manifests were about to be read; here it is waited for.
fn supervisor(registry: &mut Registry, parts: &Arc<Parts>, threads: &Threads) {
    let (waiting, asked, stopping) = (Arc::clone(parts), Arc::clone(parts), Arc::clone(parts));
    let component = Blocking::new(threads, move || {
        let supervisor = waiting.supervisor.lock().clone();
        let Some(supervisor) = supervisor else { return Err(gone()) };
        let was_up = supervisor.health().is_ok();
        let spans = supervisor
            .wait_up(Instant::now() + SUPERVISOR_DEADLINE)
            .map_err(|error| lost(Code::START_FAILED, &error))?;
        let up = child_starts::of_supervisor(&waiting, supervisor.pid(), &spans, was_up);
        // Its process came up while the manifests were read and the graph was planned.
        waiting.outside.add(Outside {
            name: child_starts::SUPERVISOR.into(),
            phase: Phase::Foundation,
            from: waiting.launched,
            to: up,
            memory: 0,
            awaited_by: AwaitedBy::Start("supervisor".into()),
        });
        Ok(Health::Healthy)
    })
    .health(move || {
        let supervisor = asked.supervisor.lock().clone();
        let Some(supervisor) = supervisor else { return Err(gone()) };
        Ok(supervisor
            .health()
            .err()
            .map_or(Health::Healthy, |error| Health::Unhealthy(error.to_string())))
    })
    .stop(move || {
        let supervisor = stopping.supervisor.lock().take();
        match supervisor {
            Some(supervisor) => end(&supervisor).map_err(|error| lost(Code::STOP_FAILED, &error)),
            None => Ok(()),
        }
    });
    let mut descriptor = Own::Supervisor.descriptor(|_| true);
    descriptor.work = Work::Other;
    registry.add(descriptor, Arc::new(component));
}

fn bus(registry: &mut Registry, parts: &Arc<Parts>, replaced: &[String]) {
    let (starting, stopping) = (Arc::clone(parts), Arc::clone(parts));
    let component = Immediate::new(move || {
        let bus = Bus::new().map_err(|error| Failure::from_error(error.code(), &error))?;
        *starting.bus.lock() = Some(bus);
        Ok(Health::Healthy)
    })
    .stop(move || {
        let bus = stopping.bus.lock().clone();
        if let Some(bus) = bus {
            bus.close();
        }
        Ok(())
    });
    let mut descriptor = Own::IpcBus.descriptor(|_| true);
    if !is_replaced(Own::IpcBus.name(), replaced) {
        descriptor = descriptor.provides(Key::labelled(Own::IpcBus.name(), "IpcBus"));
    }
    registry.add(descriptor, Arc::new(component));
}

fn gone() -> Failure {
    Failure::new(Code::INTERNAL, "the supervisor was not started")
}

/// Ends the supervisor and everything below it.
pub(super) fn end(supervisor: &Supervisor) -> Result<(), SupervisorError> {
    supervisor.stop(Instant::now() + SUPERVISOR_END)
}

fn lost(code: Code, error: &SupervisorError) -> Failure {
    let mut failure = Failure::from_error(code, error);
    failure.hints = error.hints();
    failure
}
