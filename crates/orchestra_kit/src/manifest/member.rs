//! The five members of the Pit, by the names that manifests and calls use.
//!
//! The names are the Pit's own, so that a folder, a component and a call are spelled alike. What a member is built on is
//! said once more in the wiring's graph, where a circle does not compile; a test there compares the two.

use pit::member;

/// A member of the Pit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Member {
    /// `pool-manager`.
    PoolManager,
    /// `dag-tracker`.
    DagTracker,
    /// `artifact-store`.
    ArtifactStore,
    /// `arbitration-engine`.
    ArbitrationEngine,
    /// `stale-manager`.
    StaleManager,
}

impl Member {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::PoolManager,
        Self::DagTracker,
        Self::ArtifactStore,
        Self::ArbitrationEngine,
        Self::StaleManager,
    ];

    /// A member's name, and the members that it is built on.
    const fn about(self) -> (&'static str, &'static [Self]) {
        match self {
            Self::PoolManager => (member::POOL_MANAGER, &[]),
            Self::ArtifactStore => (member::ARTIFACT_STORE, &[]),
            Self::DagTracker => (member::DAG_TRACKER, &[Self::PoolManager]),
            Self::ArbitrationEngine => {
                (member::ARBITRATION_ENGINE, &[Self::PoolManager, Self::ArtifactStore])
            }
            Self::StaleManager => {
                let requires = &[Self::ArtifactStore, Self::PoolManager, Self::DagTracker];
                (member::STALE_MANAGER, requires)
            }
        }
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.about().0
    }

    /// The member of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|member| member.as_str() == name)
    }

    /// The members that this one is built on: the Pit starts in waves by them.
    pub const fn requires(self) -> &'static [Self] {
        self.about().1
    }
}

impl std::fmt::Display for Member {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}
