//! What is said when a deadline has passed: whose it was, what hangs and where, what had started by then.
//!
//! The text is made while the steps still hang, because their components are asked then where they are; what becomes of
//! the steps is the rollback's.

use std::time::Instant;

use component::{Code, ComponentName, Phase, Seconds, Step};

use crate::run::deadline::Bound;
use crate::run::executor::Run;
use crate::run::fault::Fault;
use crate::run::step_table::{GivenUp, Then};

/// Names told in one list.
const NAMES: usize = 8;

impl Run {
    /// The phase, or the boot, was not done in time. Names what hangs longest, with what it knows of where, and what else.
    pub(crate) fn late(&mut self, phase: Phase) -> Fault {
        let (message, hint) = match self.deadlines.missed(phase) {
            Bound::Phase(phase, limit) => (
                format!("phase `{phase}` was not done within {}", Seconds::from(limit)),
                format!(
                    "give the phase a longer `timeout` if it needs more than {}",
                    Seconds::from(limit)
                ),
            ),
            Bound::Boot(limit) => (
                format!("the boot was not done within {}", Seconds::from(limit)),
                format!(
                    "give the boot a longer `timeout` if it needs more than {}",
                    Seconds::from(limit)
                ),
            ),
        };
        let mut fault = Fault::new(Code::START_TIMEOUT, message).in_phase(phase);
        let hanging = self.steps.in_flight();
        for (place, (number, step, begun)) in hanging.iter().enumerate() {
            if place == 0 {
                fault = fault.of(&self.descriptor(*number).name);
            }
            if place < NAMES {
                fault.causes.push(self.hang(*number, *step, *begun));
            }
        }
        if hanging.is_empty() {
            let pauses: Vec<u32> = self.retries.iter().map(|(_, number)| *number).collect();
            for number in pauses {
                let name = self.descriptor(number).name.clone();
                let why = self.record(number).reason().unwrap_or_default();
                fault.causes.push(format!("`{name}` was about to be tried again: {why}"));
                fault.component.get_or_insert(name);
            }
        }
        fault.causes.extend(self.finished());
        fault.hints.push(hint);
        fault
    }

    /// A component's start was not done within its own deadline.
    pub(crate) fn start_late(&mut self, number: u32, given_up: GivenUp) -> Fault {
        let descriptor = self.descriptor(number);
        let (name, phase) = (descriptor.name.clone(), descriptor.phase);
        let limit = Seconds::from(self.deadlines.of_component(descriptor.deadline).1);
        let message = format!("`{name}` did not start within {limit}");
        let mut fault = Fault::new(Code::START_TIMEOUT, message).in_phase(phase).of(&name);
        // A start that was tried again began earlier than its last attempt.
        let begun = self.record(number).begun().unwrap_or(given_up.begun);
        self.deadlines.give_up(number, Step::Start);
        fault.causes.push(hang_text(&name, Step::Start, begun, given_up.place));
        fault.causes.extend(self.finished());
        fault.hints.push(format!("give `{name}` a longer `timeout` if it needs more than {limit}"));
        fault
    }

    /// Gives a step up and says where it hangs.
    fn hang(&mut self, number: u32, step: Step, begun: Instant) -> String {
        let stack =
            self.steps.give_up(number, step, Then::Keep).and_then(|given_up| given_up.place);
        self.deadlines.give_up(number, step);
        hang_text(&self.descriptor(number).name, step, begun, stack)
    }

    /// What had finished by then.
    fn finished(&self) -> Option<String> {
        let names: Vec<String> = (0..)
            .zip(self.plan.components())
            .filter(|(number, _)| self.record(*number).is_up())
            .map(|(_, one)| format!("`{}`", one.name()))
            .collect();
        match names.len() {
            0 => None,
            count if count <= NAMES => Some(format!("had started by then: {}", names.join(", "))),
            count => Some(format!(
                "had started by then: {} components, the last of them {}",
                count,
                names[count - NAMES..].join(", ")
            )),
        }
    }
}

fn hang_text(name: &ComponentName, step: Step, begun: Instant, place: Option<String>) -> String {
    let spent = Seconds::from(begun.elapsed());
    let text = format!("`{name}` was still in its {step} after {spent}");
    place.map_or(text.clone(), |place| format!("{text}\n{place}"))
}
