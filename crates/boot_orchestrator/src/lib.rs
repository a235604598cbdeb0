//! boot_orchestrator
