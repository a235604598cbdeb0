//! What the components of the system made, each set once by its start and read by the handles.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use ipc::Bus;
use orchestra_kit::Kit;
use orchestra_kit::melody::engine::{Engine, PolicyReceiver};
use orchestra_kit::supervisor::Supervisor;
use parking_lot::Mutex;
use pit::Pit;

use super::state_folder::StateFolder;
use crate::OutsideWork;

/// The parts of one system.
pub(super) struct Parts {
    pub(super) state: StateFolder,
    pub(super) supervisor: Mutex<Option<Arc<Supervisor>>>,
    /// When the supervisor's process was started: before the manifests were read.
    pub(super) launched: Instant,
    pub(super) bus: OnceLock<Bus>,
    pub(super) pit: Mutex<Pit>,
    pub(super) kit: OnceLock<Kit>,
    pub(super) engine: OnceLock<Arc<Engine>>,
    pub(super) policy: Mutex<Option<PolicyReceiver>>,
    pub(super) closing: Arc<AtomicBool>,
    pub(super) outside: OutsideWork,
}

impl Parts {
    pub(super) fn new(
        state: StateFolder,
        supervisor: Option<Arc<Supervisor>>,
        launched: Instant,
    ) -> Self {
        Self {
            state,
            supervisor: Mutex::new(supervisor),
            launched,
            bus: OnceLock::new(),
            pit: Mutex::new(Pit::default()),
            kit: OnceLock::new(),
            engine: OnceLock::new(),
            policy: Mutex::new(None),
            closing: Arc::default(),
            outside: OutsideWork::default(),
        }
    }
}
