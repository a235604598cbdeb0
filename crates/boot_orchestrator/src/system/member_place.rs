//! The place of a Pit member in the plan, and who is in it.
//!
//! `members` registers these, `swap` puts a stand-in there while the system runs: both look down on it. Invariant: a step
//! goes to whoever has the place when it begins.

use std::sync::Arc;

use component::{Component, Done, Step, StepProgress};
use orchestra_kit::manifest::Member;
use pit::RecoveryProgress;

use super::parts::Parts;
use crate::Blocking;

/// A member in the plan: its own steps, or those of what took its place.
pub(super) struct MemberPlace {
    pub(super) own: Blocking,
    /// What its start reads back.
    pub(super) recovery: RecoveryProgress,
    pub(super) parts: Arc<Parts>,
    pub(super) member: Member,
}

impl MemberPlace {
    fn stand_in(&self) -> Option<Arc<dyn Component>> {
        self.parts.stand_ins.lock().get(&self.member).cloned()
    }
}

impl Component for MemberPlace {
    fn begin(&self, step: Step, done: Done) {
        match self.stand_in() {
            Some(component) => component.begin(step, done),
            None => self.own.begin(step, done),
        }
    }

    fn give_up(&self, step: Step) -> Option<String> {
        match self.stand_in() {
            Some(component) => component.give_up(step),
            None => self.own.give_up(step),
        }
    }

    fn clock_from(&self, step: Step) -> Option<std::time::Instant> {
        match self.stand_in() {
            Some(component) => component.clock_from(step),
            None => self.own.clock_from(step),
        }
    }

    fn progress(&self, step: Step) -> Option<StepProgress> {
        if let Some(component) = self.stand_in() {
            return component.progress(step);
        }
        let (done, total) = self.recovery.read().filter(|_| step == Step::Start)?;
        Some(StepProgress { done, total })
    }
}
