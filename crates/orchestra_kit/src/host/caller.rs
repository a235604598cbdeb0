//! One lane of an extension as a caller of others: what it holds, and what it has asked for.
//!
//! Made with the lane, used where its calls are routed. Invariant: when the lane is closed, all of its grants are
//! released and all of its calls are cancelled, those that are just being made too.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::extension::Call;
use crate::manifest::ExtensionManifest;
use crate::operations::Holdings;

/// Who calls.
pub struct Caller {
    manifest: Arc<ExtensionManifest>,
    holdings: Holdings,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    ended: bool,
    next: u64,
    /// None: it is just being made.
    calls: HashMap<u64, Option<Call>>,
}

impl Caller {
    pub(super) fn new(manifest: Arc<ExtensionManifest>) -> Self {
        Self { manifest, holdings: Holdings::new(), asked: Mutex::default() }
    }

    /// The extension that it is.
    pub fn manifest(&self) -> &ExtensionManifest {
        &self.manifest
    }

    /// What it holds of the Pit.
    pub fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    /// A call is about to be made. [`Self::made`] and [`Self::answered`] follow, in any order.
    pub(crate) fn calls(&self) -> u64 {
        let mut asked = self.asked.lock();
        asked.next += 1;
        let number = asked.next;
        asked.calls.insert(number, None);
        number
    }

    /// The call was made.
    pub(crate) fn made(&self, number: u64, call: Call) {
        let mut asked = self.asked.lock();
        if asked.ended {
            drop(asked);
            call.cancel();
        } else if let Some(place) = asked.calls.get_mut(&number) {
            *place = Some(call);
        }
    }

    /// The call has its outcome.
    pub(crate) fn answered(&self, number: u64) {
        self.asked.lock().calls.remove(&number);
    }

    /// Its lane is closed.
    pub(super) fn end(&self) {
        let calls = {
            let mut asked = self.asked.lock();
            asked.ended = true;
            std::mem::take(&mut asked.calls)
        };
        for call in calls.into_values().flatten() {
            call.cancel();
        }
        self.holdings.end();
    }
}
