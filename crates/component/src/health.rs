//! How a component says that it is.

/// A component's own word on how it is, asked for at the gate and by `system.health()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// All is well.
    Healthy,
    /// It works, with less than it should have; the reason is for people.
    Degraded(String),
    /// It does not work; the gate stays shut.
    Unhealthy(String),
}

impl Health {
    /// The word in reports and JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded(_) => "degraded",
            Self::Unhealthy(_) => "unhealthy",
        }
    }

    /// The reason, where there is one.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Healthy => None,
            Self::Degraded(reason) | Self::Unhealthy(reason) => Some(reason),
        }
    }
}
