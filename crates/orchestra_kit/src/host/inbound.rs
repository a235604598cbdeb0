//! What a guest's lane tells, passed on to its run, to the router and to the bus.
//!
//! Called on whichever thread reads the lane. Invariant: nothing that a guest sends waits here for anything.

use std::sync::{Arc, OnceLock, Weak};

use component::Code;
use ipc::{
    Bus, CallOptions, Closed, Hello, Inbound, InboundRequest, Lane, Payload, Policy, Refused,
    RemoteFailure, Welcome,
};

use super::Caller;
use super::errand::Respond;
use super::process::{GuestProcess, Routed, Router};
use crate::extension::Ended;
use crate::manifest::ExtensionManifest;

/// How many values of one topic wait for a guest that reads slowly.
const TOPIC: usize = 256;

/// The host's ear on one lane.
pub(super) struct GuestEvents {
    caller: Arc<Caller>,
    router: Weak<dyn Router>,
    bus: Bus,
    guest: OnceLock<Weak<GuestProcess>>,
    /// The number of the lane, once it subscribed to something.
    subscribed: OnceLock<u64>,
}

impl GuestEvents {
    pub(super) fn new(
        manifest: Arc<ExtensionManifest>,
        router: Weak<dyn Router>,
        bus: Bus,
    ) -> Self {
        let caller = Arc::new(Caller::new(manifest));
        Self { caller, router, bus, guest: OnceLock::new(), subscribed: OnceLock::new() }
    }

    /// Says whose lane it is; before the process exists, so that nothing can have come.
    pub(super) fn belong_to(&self, guest: &Arc<GuestProcess>) {
        if self.guest.set(Arc::downgrade(guest)).is_err() {
            tracing::error!(extension = %self.caller.manifest().name.value, "a lane was given away twice");
        }
    }

    fn guest(&self) -> Option<Arc<GuestProcess>> {
        self.guest.get().and_then(Weak::upgrade)
    }

    fn refuse(&self, reason: String) -> Refused {
        if let Some(guest) = self.guest() {
            guest.raised_mismatch(reason.clone());
        }
        Refused { code: Code::PROTOCOL_MISMATCH.as_str().to_owned(), reason }
    }
}

impl Inbound for GuestEvents {
    fn hello(&self, hello: Hello) -> Result<Welcome, Refused> {
        let Some(protocol) = hello.agreed() else {
            let (low, high) = hello.protocol;
            return Err(self.refuse(format!(
                "it speaks protocol {low} to {high}, this core {} to {}",
                ipc::PROTOCOL.0,
                ipc::PROTOCOL.1
            )));
        };
        if hello.name != self.caller.manifest().name.value {
            return Err(self.refuse(format!(
                "it calls itself `{}`, its manifest `{}`",
                hello.name,
                self.caller.manifest().name.value
            )));
        }
        if let Some(guest) = self.guest() {
            guest.introduced(hello);
        }
        Ok(Welcome { protocol, ..Welcome::new(self.caller.manifest().limits.queue) })
    }

    fn ready(&self) {
        if let Some(guest) = self.guest() {
            guest.is_ready();
        }
    }

    fn failed(&self, failure: RemoteFailure) {
        if let Some(guest) = self.guest() {
            guest.raised(failure);
        }
    }

    fn request(&self, lane: &Lane, request: InboundRequest) {
        let wait = request
            .blocks
            .zip(self.router.upgrade())
            .map(|(blocks, kit)| kit.wait(&self.caller, blocks, &request.operation));
        let wait = match wait.transpose() {
            Ok(wait) => wait.flatten(),
            Err(cycle) => {
                // A guest that is gone needs no answer.
                let _ = lane.reply(request.correlation, Err(cycle));
                return;
            }
        };
        let (replying, correlation) = (lane.clone(), request.correlation);
        let answer: Respond = Box::new(move |outcome: Result<Payload, RemoteFailure>| {
            drop(wait);
            // A guest that is gone needs no answer.
            let _ = replying.reply(correlation, outcome);
        });
        let (deadline, priority) = (request.deadline, request.priority);
        let options = CallOptions { deadline, priority, caller: Some(self.caller.id()) };
        let (call, inputs) = (request.operation, request.inputs);
        let Some(kit) = self.router.upgrade() else {
            return answer(Err(RemoteFailure::new(Code::STOPPED, "the system is stopped")));
        };
        kit.route(&self.caller, Routed { id: correlation, call, inputs, options, answer });
        // The word that it was given up may have come before it was known here.
        if lane.is_cancelled(correlation) {
            self.caller.cancel(correlation);
        }
    }

    fn cancelled(&self, _: &Lane, correlation: u64) {
        self.caller.cancel(correlation);
    }

    fn publish(&self, topic: &str, value: Payload) {
        self.bus.publish_from_lane(topic, &value);
    }

    fn subscribe(&self, lane: &Lane, topic: &str) {
        self.subscribed.get_or_init(|| lane.id());
        let subscribed = self.bus.topic(topic).subscribe_lane(lane, Policy::DropOldest, TOPIC);
        if let (Err(error), Some(guest)) = (subscribed, self.guest()) {
            guest.condemn(Ended::Violation(error));
            // What else it sent is not even read.
            lane.close();
        }
    }

    fn unsubscribe(&self, lane: &Lane, topic: &str) {
        self.bus.topic(topic).unsubscribe_lane(lane);
    }

    fn stopped(&self) {
        if let Some(guest) = self.guest() {
            guest.leaves();
        }
    }

    fn closed(&self, reason: Closed) {
        self.caller.end();
        if let Some(lane) = self.subscribed.get() {
            self.bus.forget_lane(*lane);
        }
        if let Some(guest) = self.guest() {
            guest.lane_closed(reason);
        }
    }
}
