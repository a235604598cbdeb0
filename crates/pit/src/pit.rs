//! The Pit as one value: the members that were started, each behind an `Arc`.
//!
//! Callers: the wiring (`boot_orchestrator`), the in-process host, the door to Python. Cloning is five counters. Not every
//! system starts every member, so each may be absent.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use crate::arbitration_engine::ArbitrationEngine;
use crate::artifact_store::{ArtifactId, ArtifactStore};
use crate::dag_tracker::{DagTracker, Stored};
use crate::pool_manager::{PoolManager, PoolManagerOptions};
use crate::stale_manager::{InUse, NothingInUse, StaleManager, StoreLimits};
use crate::{Durability, PitError, PitResult, RecoveryProgress, StateGuard};

/// The members' names as components, in `[system] members` and in operations.
pub mod member {
    /// [`super::ArtifactStore`].
    pub const ARTIFACT_STORE: &str = "artifact-store";
    /// [`super::DagTracker`].
    pub const DAG_TRACKER: &str = "dag-tracker";
    /// [`super::PoolManager`].
    pub const POOL_MANAGER: &str = "pool-manager";
    /// [`super::ArbitrationEngine`].
    pub const ARBITRATION_ENGINE: &str = "arbitration-engine";
    /// [`super::StaleManager`].
    pub const STALE_MANAGER: &str = "stale-manager";
    /// All five, in an order in which they can start.
    pub const ALL: [&str; 5] =
        [ARTIFACT_STORE, POOL_MANAGER, DAG_TRACKER, ARBITRATION_ENGINE, STALE_MANAGER];
}

/// What all members are opened with.
#[derive(Debug, Clone)]
pub struct PitConfig {
    /// The system's state folder; each member has a folder of its own in it.
    pub state: PathBuf,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// What all pooled workers may take together, in bytes; none: no limit.
    pub pool_memory: Option<u64>,
    /// What the artifact store keeps.
    pub store: StoreLimits,
    /// What the members keep as long as they may touch their files.
    pub guard: StateGuard,
    /// Told how far an opening is that reads much back.
    pub recovery: RecoveryProgress,
}

impl PitConfig {
    /// A configuration with the defaults.
    pub fn new(state: impl Into<PathBuf>) -> Self {
        let (durability, guard) = (Durability::default(), StateGuard::default());
        let recovery = RecoveryProgress::default();
        let store = StoreLimits::default();
        Self { state: state.into(), durability, pool_memory: None, store, guard, recovery }
    }

    /// The folder of a member.
    pub fn folder(&self, member: &str) -> PathBuf {
        self.state.join(member)
    }

    /// Opens the artifact store in its folder.
    ///
    /// # Errors
    /// As [`ArtifactStore::open`].
    pub fn open_artifact_store(&self) -> PitResult<Arc<ArtifactStore>> {
        let folder = self.folder(member::ARTIFACT_STORE);
        ArtifactStore::open_guarded(&folder, self.durability, self.guard.clone(), &self.recovery)
    }

    /// Opens the DAG tracker in its folder.
    ///
    /// # Errors
    /// As [`DagTracker::open`].
    pub fn open_dag_tracker(&self) -> PitResult<Arc<DagTracker>> {
        let folder = self.folder(member::DAG_TRACKER);
        DagTracker::open_guarded(&folder, self.durability, self.guard.clone(), &self.recovery)
    }

    /// Makes the pool manager.
    pub fn open_pool_manager(&self) -> Arc<PoolManager> {
        PoolManager::new(PoolManagerOptions { memory: self.pool_memory })
    }

    /// Opens the stale manager in its folder; without a DAG tracker nothing counts as in use.
    ///
    /// # Errors
    /// As [`StaleManager::open`].
    pub fn open_stale_manager(
        &self,
        store: Arc<ArtifactStore>,
        dag: Option<Arc<DagTracker>>,
    ) -> PitResult<Arc<StaleManager>> {
        let in_use: Arc<dyn InUse> = match dag {
            Some(dag) => dag,
            None => Arc::new(NothingInUse),
        };
        let folder = self.folder(member::STALE_MANAGER);
        let manager = StaleManager::open_guarded(
            &folder,
            self.durability,
            store,
            in_use,
            self.guard.clone(),
        )?;
        manager.keep_limits(self.store)?;
        Ok(manager)
    }
}

impl Stored for ArtifactStore {
    fn is_deleted(&self, id: &ArtifactId) -> bool {
        Self::is_deleted(self, id)
    }
}

impl InUse for DagTracker {
    fn in_use(&self, id: &ArtifactId) -> Option<String> {
        self.user_of(&id.to_string()).map(|run| format!("run {run}"))
    }

    fn unless_in_use(&self, id: &ArtifactId, delete: &mut dyn FnMut() -> bool) -> Option<String> {
        self.unless_held(id, delete).map(|run| format!("run {run}"))
    }
}

/// The members that were started.
#[derive(Clone, Default)]
pub struct Pit {
    /// Content-addressed blobs.
    pub artifacts: Option<Arc<ArtifactStore>>,
    /// Running workflows.
    pub dag: Option<Arc<DagTracker>>,
    /// Models and workers.
    pub pool: Option<Arc<PoolManager>>,
    /// Who gets a scarce thing.
    pub arbitration: Option<Arc<ArbitrationEngine>>,
    /// What may go.
    pub stale: Option<Arc<StaleManager>>,
}

impl Pit {
    /// Opens all five members, one after the other. A boot opens them one by one instead, each as a component.
    ///
    /// # Errors
    /// The first member that does not open.
    pub fn open(config: &PitConfig) -> PitResult<Self> {
        let artifacts = config.open_artifact_store()?;
        let dag = config.open_dag_tracker()?;
        let stale = config.open_stale_manager(Arc::clone(&artifacts), Some(Arc::clone(&dag)))?;
        let pit = Self {
            artifacts: Some(artifacts),
            dag: Some(dag),
            pool: Some(config.open_pool_manager()),
            arbitration: Some(ArbitrationEngine::new()),
            stale: Some(stale),
        };
        pit.introduce();
        Ok(pit)
    }

    /// Tells members of others that they ask and do not need for their start; to be called when one of them was started.
    pub fn introduce(&self) {
        if let (Some(dag), Some(store)) = (&self.dag, &self.artifacts) {
            let stored: Weak<ArtifactStore> = Arc::downgrade(store);
            dag.ask_stored(stored);
        }
    }

    /// The artifact store.
    ///
    /// # Errors
    /// It was not started.
    pub fn artifacts(&self) -> PitResult<&Arc<ArtifactStore>> {
        started(self.artifacts.as_ref(), member::ARTIFACT_STORE)
    }

    /// The DAG tracker.
    ///
    /// # Errors
    /// It was not started.
    pub fn dag(&self) -> PitResult<&Arc<DagTracker>> {
        started(self.dag.as_ref(), member::DAG_TRACKER)
    }

    /// The pool manager.
    ///
    /// # Errors
    /// It was not started.
    pub fn pool(&self) -> PitResult<&Arc<PoolManager>> {
        started(self.pool.as_ref(), member::POOL_MANAGER)
    }

    /// The arbitration engine.
    ///
    /// # Errors
    /// It was not started.
    pub fn arbitration(&self) -> PitResult<&Arc<ArbitrationEngine>> {
        started(self.arbitration.as_ref(), member::ARBITRATION_ENGINE)
    }

    /// The stale manager.
    ///
    /// # Errors
    /// It was not started.
    pub fn stale(&self) -> PitResult<&Arc<StaleManager>> {
        started(self.stale.as_ref(), member::STALE_MANAGER)
    }

    /// The names of the members that were started.
    pub fn members(&self) -> Vec<&'static str> {
        let there = [
            self.artifacts.is_some(),
            self.pool.is_some(),
            self.dag.is_some(),
            self.arbitration.is_some(),
            self.stale.is_some(),
        ];
        member::ALL
            .into_iter()
            .zip(there)
            .filter(|(_, there)| *there)
            .map(|(name, _)| name)
            .collect()
    }
}

impl std::fmt::Debug for Pit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Pit").field("members", &self.members()).finish()
    }
}

fn started<'a, T>(member: Option<&'a Arc<T>>, name: &'static str) -> PitResult<&'a Arc<T>> {
    member.ok_or_else(|| PitError::NotFound { kind: "started Pit member", name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use std::sync::Arc;

    use super::{Pit, PitConfig, member};
    use crate::artifact_store::{ArtifactId, PutOptions};
    use crate::dag_tracker::Step;
    use crate::stale_manager::InUse;
    use crate::{PitError, StateGuard};

    #[test]
    fn all_members_open_in_one_state_folder_and_open_again() {
        let folder = tempfile::tempdir().unwrap();
        let config = PitConfig::new(folder.path());
        let pit = Pit::open(&config).unwrap();
        assert_eq!(pit.members(), member::ALL);
        let id = pit.artifacts().unwrap().put(b"bytes", &PutOptions::default()).unwrap();
        let graph: BTreeMap<String, Vec<String>> =
            BTreeMap::from([("a".to_owned(), vec![]), ("b".to_owned(), vec!["a".to_owned()])]);
        let graph: Vec<_> = graph.into_iter().collect();
        let dag = pit.dag().unwrap();
        let run = dag.submit(&graph, 0).unwrap();
        dag.complete(run, "a", Some(&id.to_string())).unwrap();
        assert_eq!(dag.in_use(&id).as_deref(), Some("run 1"));
        drop(pit);
        let pit = Pit::open(&config).unwrap();
        assert_eq!(pit.artifacts().unwrap().get(&id).unwrap(), b"bytes");
        assert_eq!(pit.dag().unwrap().in_use(&id).as_deref(), Some("run 1"));
    }

    #[test]
    fn a_node_is_not_completed_with_what_was_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let config = PitConfig::new(folder.path());
        let pit = Pit::open(&config).unwrap();
        let (store, dag) = (pit.artifacts().unwrap(), pit.dag().unwrap());
        let put = |data: &[u8]| store.put(data, &PutOptions::default()).unwrap();
        let run = dag.submit(&[("a".to_owned(), vec![]), ("b".to_owned(), vec![])], 0).unwrap();
        let [kept, gone] = [put(b"kept"), put(b"gone")];
        store.delete(&gone).unwrap();
        let written = || dag.stats().journal_bytes;
        let before = written();
        for id in [gone.to_string(), gone.to_string().to_uppercase()] {
            let refused = dag.complete(run, "a", Some(&id)).unwrap_err();
            assert!(matches!(refused, PitError::NotFound { kind: "artifact", .. }), "{refused:?}");
            assert!(!dag.uses(&id), "what was refused is held");
        }
        // All steps or none.
        let steps = [(0, kept.to_string()), (1, gone.to_string())];
        let steps =
            steps.each_ref().map(|(node, id)| Step::Complete { node: *node, artifact: Some(id) });
        assert!(dag.apply(run, &steps, &mut Vec::new(), &mut Vec::new()).is_err());
        assert_eq!(dag.in_use(&kept), None);
        assert_eq!((written(), dag.ready(run, 0).unwrap().len()), (before, 2));
        dag.complete(run, "a", Some(&kept.to_string())).unwrap();
        assert_eq!(dag.in_use(&kept).as_deref(), Some("run 1"));
        // What was put again is there; of another store's, and of a name that is no id, this one says nothing.
        assert_eq!(put(b"gone"), gone);
        for made in
            [gone.to_string(), ArtifactId::of(b"elsewhere").to_string(), "a report".to_owned()]
        {
            let other =
                dag.submit(&[("a".to_owned(), vec![]), ("b".to_owned(), vec![])], 0).unwrap();
            dag.complete(other, "a", Some(&made)).unwrap();
        }
        // A run whose artifact was deleted all the same is there again.
        store.delete(&kept).unwrap();
        drop(pit);
        let dag = config.open_dag_tracker().unwrap();
        assert_eq!(dag.in_use(&kept).as_deref(), Some("run 1"));
    }

    #[test]
    fn a_store_that_is_closed_says_of_nothing_that_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let pit = Pit::open(&PitConfig::new(folder.path())).unwrap();
        let dag = pit.dag().unwrap();
        let run = dag.submit(&[("a".to_owned(), vec![])], 0).unwrap();
        let store = pit.artifacts().unwrap();
        let id = store.put(b"gone", &PutOptions::default()).unwrap();
        store.delete(&id).unwrap();
        store.close().unwrap();
        dag.complete(run, "a", Some(&id.to_string())).unwrap();
    }

    #[test]
    fn the_state_is_kept_until_the_last_member_is_closed_whoever_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Arc::new(());
        let config = PitConfig {
            guard: StateGuard::new(Arc::clone(&lock)),
            ..PitConfig::new(folder.path())
        };
        let pit = Pit::open(&config).unwrap();
        drop(config);
        let is_kept = || Arc::strong_count(&lock) > 1;
        pit.artifacts().unwrap().close().unwrap();
        pit.stale().unwrap().close().unwrap();
        assert!(is_kept());
        pit.dag().unwrap().close().unwrap();
        assert!(!is_kept(), "handles of closed members keep nothing");
        let pinned = pit.stale().unwrap().pin(&ArtifactId::of(b"x"));
        assert!(matches!(pinned, Err(PitError::Stopped { .. } | PitError::NotFound { .. })));
    }

    #[test]
    fn an_open_that_fails_lets_go_of_the_state() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(member::ARTIFACT_STORE), b"a file").unwrap();
        let lock = Arc::new(());
        let guard = StateGuard::new(Arc::clone(&lock));
        let config = PitConfig { guard, ..PitConfig::new(folder.path()) };
        assert!(Pit::open(&config).is_err());
        drop(config);
        assert_eq!(Arc::strong_count(&lock), 1);
    }

    #[test]
    fn a_member_that_was_not_started_is_named() {
        let error = Pit::default().pool().unwrap_err();
        assert_eq!(error.to_string(), "there is no started Pit member `pool-manager`");
    }
}
