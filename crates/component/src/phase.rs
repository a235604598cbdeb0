//! The five phases of a boot, in order.

/// A stage of the boot. Between two phases stands a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Configuration, manifests, the plan, the supervisor process.
    Foundation,
    /// The bus and its lanes.
    IpcBus,
    /// The five members, then loaded Pit libraries.
    Pit,
    /// The catalogue, both hosts and eager extensions.
    OrchestraKit,
    /// Your components, then the Conductor.
    Conductor,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::Foundation, Self::IpcBus, Self::Pit, Self::OrchestraKit, Self::Conductor];

    /// The name in manifests, reports and errors.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Foundation => "foundation",
            Self::IpcBus => "ipc_bus",
            Self::Pit => "pit",
            Self::OrchestraKit => "orchestra_kit",
            Self::Conductor => "conductor",
        }
    }

    /// The phase of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == name)
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}
