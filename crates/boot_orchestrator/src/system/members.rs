//! Phase `pit`: the five members in three waves by their dependencies, then the Pit as a whole.

use std::sync::Arc;

use component::{ComponentGraph as _, Failure, Health, Hint as _};
use orchestra_kit::manifest::Member;
use pit::arbitration_engine::ArbitrationEngine;
use pit::stale_manager::StoreLimits;
use pit::{Durability, PitConfig, PitError, RecoveryProgress, StateGuard};

use super::member_place::MemberPlace;
use super::own::Own;
use super::parts::Parts;
use super::replaced::is_replaced;
use crate::{Blocking, Immediate, Registry, Threads};

/// The component that a member is.
const fn own(member: Member) -> Own {
    match member {
        Member::PoolManager => Own::PoolManager,
        Member::DagTracker => Own::DagTracker,
        Member::ArtifactStore => Own::ArtifactStore,
        Member::ArbitrationEngine => Own::ArbitrationEngine,
        Member::StaleManager => Own::StaleManager,
    }
}

/// Registers these members; those that are replaced by a caller's own object are left out.
pub(super) fn register(
    registry: &mut Registry,
    parts: &Arc<Parts>,
    threads: &Threads,
    members: &[Member],
    replaced: &[String],
    durability: Durability,
    store: StoreLimits,
) {
    for member in members {
        if is_replaced(member.as_str(), replaced) || needs_what_is_replaced(*member, replaced) {
            continue;
        }
        let descriptor = own(*member).descriptor(|needed| !is_replaced(needed.name(), replaced));
        let (starting, stopping, member) = (Arc::clone(parts), Arc::clone(parts), *member);
        let asked = Arc::clone(parts);
        let recovery = RecoveryProgress::default();
        let reads = recovery.clone();
        let own = Blocking::new(threads, move || {
            start(&starting, member, (durability, store), reads.clone())
                .map(|()| Health::Healthy)
                .map_err(|error| failed(&error))
        })
        .health(move || Ok(health(&asked, member)))
        .stop(move || stop(&stopping, member).map_err(|error| failed(&error)));
        registry.add(
            descriptor,
            Arc::new(MemberPlace { own, recovery, parts: Arc::clone(parts), member }),
        );
    }
    if is_replaced(Own::Pit.name(), replaced) {
        return;
    }
    let descriptor = Own::Pit.descriptor(|needed| {
        let mut held = members.iter().filter(|member| !needs_what_is_replaced(**member, replaced));
        held.any(|member| own(*member) == needed)
    });
    registry.add(descriptor, Arc::new(Immediate::new(|| Ok(Health::Healthy))));
}

/// The stale manager works inside the real store: beside another one it is not started.
fn needs_what_is_replaced(member: Member, replaced: &[String]) -> bool {
    member == Member::StaleManager && is_replaced(Member::ArtifactStore.as_str(), replaced)
}

fn failed(error: &PitError) -> Failure {
    let mut failure = Failure::from_error(error.code(), error);
    failure.hints = error.hints();
    failure
}

fn start(
    parts: &Parts,
    member: Member,
    (durability, store): (Durability, StoreLimits),
    recovery: RecoveryProgress,
) -> Result<(), PitError> {
    // A start that was given up goes on, and may begin only now: without the lock it touches nothing.
    let stopped = PitError::Stopped { member: member.as_str() };
    let guard = StateGuard::new(parts.state.share(member.as_str()).ok_or(stopped)?);
    let config =
        PitConfig { durability, store, guard, recovery, ..PitConfig::new(parts.state.path()) };
    match member {
        Member::PoolManager => {
            parts.pit.lock().pool = Some(config.open_pool_manager());
        }
        Member::ArtifactStore => {
            let store = config.open_artifact_store()?;
            let mut pit = parts.pit.lock();
            pit.artifacts = Some(store);
            pit.introduce();
        }
        Member::DagTracker => {
            let dag = config.open_dag_tracker()?;
            let mut pit = parts.pit.lock();
            pit.dag = Some(dag);
            pit.introduce();
        }
        Member::ArbitrationEngine => {
            parts.pit.lock().arbitration = Some(ArbitrationEngine::new());
        }
        Member::StaleManager => {
            let pit = parts.pit.lock().clone();
            let stale = config.open_stale_manager(Arc::clone(pit.artifacts()?), pit.dag)?;
            parts.pit.lock().stale = Some(stale);
        }
    }
    Ok(())
}

fn health(parts: &Parts, member: Member) -> Health {
    let pit = parts.pit.lock().clone();
    match member {
        Member::ArtifactStore => pit.artifacts.map(|store| store.health()),
        Member::DagTracker => pit.dag.map(|dag| dag.health()),
        Member::PoolManager | Member::ArbitrationEngine | Member::StaleManager => None,
    }
    .unwrap_or(Health::Healthy)
}

fn stop(parts: &Parts, member: Member) -> Result<(), PitError> {
    let pit = parts.pit.lock().clone();
    match member {
        Member::PoolManager => {
            if let Some(pool) = pit.pool {
                pool.close();
            }
        }
        Member::ArtifactStore => {
            if let Some(store) = pit.artifacts {
                store.close()?;
            }
        }
        Member::DagTracker => {
            if let Some(dag) = pit.dag {
                dag.close()?;
            }
        }
        Member::ArbitrationEngine => {
            if let Some(engine) = pit.arbitration {
                engine.close();
            }
        }
        Member::StaleManager => {
            if let Some(stale) = pit.stale {
                stale.close()?;
            }
        }
    }
    Ok(())
}
