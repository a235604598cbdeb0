//! What the components of the system made: set by their starts, read by every call of a handle, and let go of when the
//! system is down, so that nothing of it outlives it in the hands of a user.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use component::Component;
use ipc::Bus;
use orchestra_kit::Kit;
use orchestra_kit::manifest::Member;
use orchestra_kit::melody::engine::{Engine, PolicyReceiver};
use orchestra_kit::supervisor::Supervisor;
use parking_lot::Mutex;
use pit::Pit;

use super::handle_use::HandleUses;
use super::safe_mode::BootRecord;
use super::state_folder::StateFolder;
use crate::{ChildSpans, Grants, OutsideWork};

/// The parts of one system.
pub(super) struct Parts {
    pub(super) state: StateFolder,
    /// None where no boot of this state counts: it is temporary, or its caller chose what starts.
    pub(super) record: Option<BootRecord>,
    pub(super) supervisor: Mutex<Option<Arc<Supervisor>>>,
    /// When the supervisor's process was started: before the manifests were read.
    pub(super) launched: Instant,
    pub(super) bus: Mutex<Option<Bus>>,
    pub(super) pit: Mutex<Pit>,
    pub(super) kit: Mutex<Option<Kit>>,
    pub(super) engine: Mutex<Option<Arc<Engine>>>,
    pub(super) policy: Mutex<Option<PolicyReceiver>>,
    pub(super) closing: Arc<AtomicBool>,
    /// Set when the system is down: every handle of a member looks at it.
    pub(super) closed: Arc<AtomicBool>,
    /// The steps of what took a member's place.
    pub(super) stand_ins: Mutex<HashMap<Member, Arc<dyn Component>>>,
    pub(super) handle_uses: HandleUses,
    pub(super) outside: OutsideWork,
    pub(super) children: ChildSpans,
    pub(super) grants: Grants,
}

impl Parts {
    pub(super) fn new(
        state: StateFolder,
        record: Option<BootRecord>,
        supervisor: Option<Arc<Supervisor>>,
        launched: Instant,
    ) -> Self {
        Self {
            state,
            record,
            supervisor: Mutex::new(supervisor),
            launched,
            bus: Mutex::new(None),
            pit: Mutex::new(Pit::default()),
            kit: Mutex::new(None),
            engine: Mutex::new(None),
            policy: Mutex::new(None),
            closing: Arc::default(),
            closed: Arc::default(),
            stand_ins: Mutex::default(),
            handle_uses: HandleUses::default(),
            outside: OutsideWork::default(),
            children: ChildSpans::default(),
            grants: Grants::default(),
        }
    }
}
