//! The five members of the Pit, by the names that manifests and calls use.

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

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PoolManager => "pool-manager",
            Self::DagTracker => "dag-tracker",
            Self::ArtifactStore => "artifact-store",
            Self::ArbitrationEngine => "arbitration-engine",
            Self::StaleManager => "stale-manager",
        }
    }

    /// The member of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|member| member.as_str() == name)
    }

    /// The members that this one is built on: the Pit starts in waves by them.
    pub const fn requires(self) -> &'static [Self] {
        match self {
            Self::PoolManager | Self::ArtifactStore => &[],
            Self::DagTracker => &[Self::PoolManager],
            Self::ArbitrationEngine => &[Self::PoolManager, Self::ArtifactStore],
            Self::StaleManager => &[Self::ArtifactStore, Self::PoolManager, Self::DagTracker],
        }
    }
}

impl std::fmt::Display for Member {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}
