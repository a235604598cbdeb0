//! One lane of an extension as a caller of others: what it holds, and what it has asked for.
//!
//! Made with the lane, used where its calls are routed. Invariants: when the lane is closed, all of its grants are
//! released and all of its calls are cancelled, those that are just being made too; a call that it gives up is given up
//! wherever it is.

use std::collections::HashMap;
use std::sync::Arc;

use ipc::CallerId;
use parking_lot::Mutex;

use super::errand::Errand;
use crate::extension::Call;
use crate::manifest::ExtensionManifest;
use crate::operations::{Holdings, WaitingCall};

/// The most grants that one lane holds.
const GRANTS: usize = 1024;

/// Who calls.
pub struct Caller {
    id: CallerId,
    manifest: Arc<ExtensionManifest>,
    holdings: Arc<Holdings>,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    ended: bool,
    calls: HashMap<u64, OpenCall>,
}

/// A call on its way: whom it asks, and what it weighs there.
struct OpenCall {
    target: Option<u32>,
    bytes: usize,
    cancelled: bool,
    /// None: it is just being made.
    way: Option<Way>,
}

/// Where a call is, so that it can be cancelled there.
pub(crate) enum Way {
    /// At another extension.
    Called(Call),
    /// In a line, on no thread.
    Waiting(WaitingCall),
    /// With a worker, or in the queue for one.
    Working(Arc<Errand>),
}

impl Way {
    pub(crate) fn cancel(&self) {
        match self {
            Self::Called(call) => call.cancel(),
            Self::Waiting(call) => call.cancel(),
            Self::Working(errand) => errand.cancel(),
        }
    }
}

impl Caller {
    pub(super) fn new(manifest: Arc<ExtensionManifest>) -> Self {
        let (id, holdings) = (CallerId::new(), Arc::new(Holdings::of_at_most(GRANTS)));
        Self { id, manifest, holdings, asked: Mutex::default() }
    }

    /// By what its calls get their turns at whom they ask.
    pub(super) const fn id(&self) -> CallerId {
        self.id
    }

    /// The extension that it is.
    pub fn manifest(&self) -> &Arc<ExtensionManifest> {
        &self.manifest
    }

    /// What it holds of the Pit.
    pub fn holdings(&self) -> &Arc<Holdings> {
        &self.holdings
    }

    /// How many of its calls are with that extension, and what they weigh.
    pub(crate) fn load_on(&self, target: u32) -> (usize, usize) {
        let asked = self.asked.lock();
        let there = asked.calls.values().filter(|entry| entry.target == Some(target));
        there.fold((0, 0), |(calls, bytes), entry| (calls + 1, bytes + entry.bytes))
    }

    /// A call is about to be made. [`Self::made`] and [`Self::answered`] follow, in any order.
    pub(crate) fn calls(&self, number: u64, target: Option<u32>, bytes: usize) {
        let entry = OpenCall { target, bytes, cancelled: false, way: None };
        self.asked.lock().calls.insert(number, entry);
    }

    /// The call was made.
    pub(crate) fn made(&self, number: u64, way: Way) {
        let mut asked = self.asked.lock();
        let ended = asked.ended;
        match asked.calls.get_mut(&number) {
            Some(entry) if !ended && !entry.cancelled => entry.way = Some(way),
            Some(_) => {
                drop(asked);
                way.cancel();
            }
            // It is answered.
            None => {}
        }
    }

    /// The call has its outcome.
    pub(crate) fn answered(&self, number: u64) {
        let entry = self.asked.lock().calls.remove(&number);
        // Its last handle may be this one, whose end is nothing for under the lock.
        drop(entry);
    }

    /// It gives a call up.
    pub(super) fn cancel(&self, number: u64) {
        let way = self.asked.lock().calls.get_mut(&number).and_then(|entry| {
            entry.cancelled = true;
            entry.way.take()
        });
        if let Some(way) = way {
            way.cancel();
        }
    }

    /// Its lane is closed.
    pub(super) fn end(&self) {
        let ways: Vec<_> = {
            let mut asked = self.asked.lock();
            asked.ended = true;
            asked.calls.values_mut().filter_map(|entry| entry.way.take()).collect()
        };
        for way in ways {
            way.cancel();
        }
        self.holdings.end();
    }
}
