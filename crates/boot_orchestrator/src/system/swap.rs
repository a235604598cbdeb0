//! What is swapped in the system itself: a Pit member gives its place to a stand-in, an extension to another version.
//!
//! Called by Python's door. Invariant: a member that was taken out lives until its last call has ended, and is closed
//! once, by whoever took it out.

use std::path::Path;
use std::sync::Arc;

use component::{Component, Diagnostic};
use orchestra_kit::Catalogue;
use orchestra_kit::manifest::Member;
use orchestra_kit::operations::StandIn;
use pit::PitError;
use pit::arbitration_engine::ArbitrationEngine;
use pit::artifact_store::ArtifactStore;
use pit::dag_tracker::DagTracker;
use pit::pool_manager::PoolManager;
use pit::stale_manager::StaleManager;

use super::handle_use::HandleUse;
use super::open::System;

/// A member that has no place any more.
pub struct TakenMember {
    member: Taken,
    /// Went with the store that it sweeps.
    sweeper: Option<Arc<StaleManager>>,
    handles: Arc<HandleUse>,
    sweepers_handles: Arc<HandleUse>,
}

enum Taken {
    Artifacts(Arc<ArtifactStore>),
    Dag(Arc<DagTracker>),
    Pool(Arc<PoolManager>),
    Arbitration(Arc<ArbitrationEngine>),
    Stale(Arc<StaleManager>),
}

impl TakenMember {
    /// How many calls are inside it, or hold what it lent.
    pub fn calls(&self) -> usize {
        let held = match &self.member {
            Taken::Artifacts(member) => Arc::strong_count(member),
            Taken::Dag(member) => Arc::strong_count(member),
            Taken::Pool(member) => Arc::strong_count(member),
            Taken::Arbitration(member) => Arc::strong_count(member),
            Taken::Stale(member) => Arc::strong_count(member),
        };
        // The manager of what is stale holds the store itself, and is asked in its place.
        let sweeps = self.sweeper.as_ref().map_or(0, |sweeper| {
            used(Arc::strong_count(sweeper).saturating_sub(1), &self.sweepers_handles)
        });
        used(held.saturating_sub(1 + usize::from(self.sweeper.is_some())), &self.handles) + sweeps
    }

    /// Which part of Symphony keeps on working with it, where one does: it is never drained then.
    pub const fn keeper(&self) -> Option<&'static str> {
        match self.member {
            Taken::Dag(_) => Some("the engine of Melodies, whose runs are written down there"),
            _ => None,
        }
    }

    /// The member that was taken out together with it.
    pub fn company(&self) -> Option<&'static str> {
        self.sweeper.as_ref().map(|_| Member::StaleManager.as_str())
    }

    /// Closes it. Calls that still come are refused.
    ///
    /// # Errors
    /// What was acknowledged could not be written down.
    pub fn close(self) -> Result<(), PitError> {
        let swept = self.sweeper.map_or(Ok(()), |sweeper| {
            self.sweepers_handles.close();
            sweeper.close()
        });
        self.handles.close();
        let closed = match self.member {
            Taken::Artifacts(store) => store.close(),
            Taken::Dag(tracker) => tracker.close(),
            Taken::Pool(pool) => {
                pool.close();
                Ok(())
            }
            Taken::Arbitration(engine) => {
                engine.close();
                Ok(())
            }
            Taken::Stale(manager) => manager.close(),
        };
        swept.and(closed)
    }
}

impl System {
    /// What the handles of a member count.
    pub fn handle_use(&self, member: Member) -> Arc<HandleUse> {
        Arc::clone(self.parts.handle_uses.of(member))
    }

    /// From now on these steps are run where the member's own would be, at a health question and at the shutdown; with
    /// none, its own again.
    pub fn stand_in(&self, member: Member, component: Option<Arc<dyn Component>>) {
        let mut stand_ins = self.parts.stand_ins.lock();
        let before = match component {
            Some(component) => stand_ins.insert(member, component),
            None => stand_ins.remove(&member),
        };
        drop(stand_ins);
        drop(before);
    }

    /// Takes a member out of its place: from now on the operations go to `stand_in`. None where it was not started, or
    /// has been taken out already.
    pub fn take_member(&self, member: Member, stand_in: Arc<dyn StandIn>) -> Option<TakenMember> {
        let taken = {
            let mut pit = self.parts.pit.lock();
            let sweeper = if member == Member::ArtifactStore { pit.stale.take() } else { None };
            let taken = match member {
                Member::ArtifactStore => pit.artifacts.take().map(Taken::Artifacts),
                Member::DagTracker => pit.dag.take().map(Taken::Dag),
                Member::PoolManager => pit.pool.take().map(Taken::Pool),
                Member::ArbitrationEngine => pit.arbitration.take().map(Taken::Arbitration),
                Member::StaleManager => pit.stale.take().map(Taken::Stale),
            };
            let handles = self.handle_use(member);
            let sweepers_handles = self.handle_use(Member::StaleManager);
            taken.map(|member| TakenMember { member, sweeper, handles, sweepers_handles })
        }?;
        if let Some(kit) = self.kit() {
            kit.change_members(|members| {
                match member {
                    Member::ArtifactStore => (members.artifacts, members.stale) = (None, None),
                    Member::DagTracker => members.dag = None,
                    Member::PoolManager => members.pool = None,
                    Member::ArbitrationEngine => members.arbitration = None,
                    Member::StaleManager => members.stale = None,
                }
                members.stand_ins.insert(member, stand_in);
            });
        }
        Some(taken)
    }

    /// Puts a member back into its place.
    pub fn give_back(&self, taken: TakenMember) {
        let TakenMember { member, sweeper, .. } = taken;
        let mut pit = self.parts.pit.lock();
        if sweeper.is_some() {
            pit.stale = sweeper;
        }
        let name = match member {
            Taken::Artifacts(store) => {
                pit.artifacts = Some(store);
                Member::ArtifactStore
            }
            Taken::Dag(tracker) => {
                pit.dag = Some(tracker);
                Member::DagTracker
            }
            Taken::Pool(pool) => {
                pit.pool = Some(pool);
                Member::PoolManager
            }
            Taken::Arbitration(engine) => {
                pit.arbitration = Some(engine);
                Member::ArbitrationEngine
            }
            Taken::Stale(manager) => {
                pit.stale = Some(manager);
                Member::StaleManager
            }
        };
        let pit = pit.clone();
        let Some(kit) = self.kit() else { return };
        kit.change_members(|members| {
            members.stand_ins.remove(&name);
            members.artifacts = pit.artifacts;
            members.dag = pit.dag;
            members.pool = pit.pool;
            members.stale = pit.stale;
            if members.arbitration.is_none()
                && let Some(engine) = pit.arbitration
            {
                *members = std::mem::take(members).with_arbitration(engine);
            }
        });
    }

    /// What is known of the extensions once the version in that folder, or of that manifest, has the name.
    ///
    /// # Errors
    /// Every fault of that manifest; or it is one of another extension.
    pub fn with_version(&self, name: &str, path: &Path) -> Result<Catalogue, Vec<Diagnostic>> {
        let catalogue =
            self.kit().map_or_else(|| Arc::clone(self.catalogue()), |kit| kit.catalogue());
        match self.manifest() {
            Some(manifest) => catalogue.with_version(manifest, name, path),
            None => Ok(Catalogue::clone(&catalogue)),
        }
    }
}

/// Of so many references those that are in use: a handle's own is not, and a call through it holds none of its own.
fn used(references: usize, handles: &HandleUse) -> usize {
    let (idle, calls) = handles.read();
    references.saturating_sub(idle) + calls
}

impl std::fmt::Debug for TakenMember {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("TakenMember").field("calls", &self.calls()).finish_non_exhaustive()
    }
}
