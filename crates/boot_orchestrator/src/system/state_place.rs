//! The state folder in the plan.
//!
//! Registered by `foundation`. Invariant: a boot pays nothing for the watch over its lock, which was taken just now.

use std::sync::Arc;

use component::{Component, Done, Health, Step};

use super::parts::Parts;
use crate::Blocking;

/// The steps of the state folder.
pub(super) struct StatePlace {
    pub(super) own: Blocking,
    pub(super) parts: Arc<Parts>,
}

impl Component for StatePlace {
    fn begin(&self, step: Step, done: Done) {
        if step == Step::Health && self.parts.state.is_new() {
            done.tell(Ok(Health::Healthy));
        } else {
            self.own.begin(step, done);
        }
    }

    fn give_up(&self, step: Step) -> Option<String> {
        self.own.give_up(step)
    }
}
