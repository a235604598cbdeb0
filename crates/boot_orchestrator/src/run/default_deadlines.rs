//! How long things have where nobody says otherwise: the boot, a component, a stop, the rollback.
//!
//! Read by `options.rs` for a boot, and by the bindings for what comes to a system that is up.

use std::time::Duration;

/// The whole boot.
pub const BOOT: Duration = Duration::from_secs(60);
/// One step of a component: its start, or its word on its health.
pub const COMPONENT: Duration = Duration::from_secs(10);
/// The stop of one component.
pub const STOP: Duration = Duration::from_millis(500);
/// All stops of a boot that failed.
pub const ROLLBACK: Duration = Duration::from_secs(3);
