//! The gate between two phases: everyone that started says how it is, side by side.
//!
//! Healthy and degraded pass. A required component that is not healthy fails the boot; one that is not required counts as
//! failed from now on: who cannot do without it in a later phase will not begin. It stays up until the end, because those
//! of its own phase hold it already.

use std::time::Instant;

use component::{Code, Health, Phase, Seconds, Step};

use crate::event::boot_event::{BootEvent, Status};
use crate::graph::edges::index;
use crate::run::executor::Run;
use crate::run::fault::Fault;
use crate::run::progress::Progress;
use crate::run::step_table::{EndedStep, Signal, Then};

impl Run {
    /// Asks everyone of the phase; returns how the phase is.
    pub(crate) fn gate(&mut self, phase: Phase) -> Result<Status, Box<Fault>> {
        if !self.plan.range(phase).any(|place| self.record(index(place)).is_up()) {
            return Ok(self.status(phase));
        }
        let begun = Instant::now();
        self.events.emit_at(begun, BootEvent::GateStarted { phase });
        let asked = self.ask(phase);
        if asked.is_err() {
            self.cut_short();
        }
        let status = if asked.is_err() { Status::Failed } else { self.status(phase) };
        let seconds = begun.elapsed().as_secs_f64();
        self.events.emit(BootEvent::GateFinished { phase, status, seconds });
        asked.map(|()| status)
    }

    fn status(&self, phase: Phase) -> Status {
        let well = |place| self.progress_table.at(index(place)) == Progress::Ready;
        if self.plan.range(phase).all(well) { Status::Ready } else { Status::Degraded }
    }

    fn ask(&mut self, phase: Phase) -> Result<(), Box<Fault>> {
        let numbers = self.plan.range(phase).map(index);
        let asked: Vec<u32> = numbers.filter(|number| self.record(*number).is_up()).collect();
        for number in &asked {
            let descriptor = self.descriptor(*number);
            let (deadline, _) = self.deadlines.of_component(descriptor.deadline);
            self.events.emit(BootEvent::HealthStarted { component: descriptor.name.clone() });
            self.steps.begin(*number, Step::Health, deadline);
        }
        let mut open = asked.len();
        while open > 0 {
            let deadline = self.deadlines.of_phase();
            match self.steps.next(deadline) {
                Signal::Ended(ended) if ended.step == Step::Health => {
                    open -= 1;
                    self.answered(phase, ended)?;
                }
                Signal::Expired { component, step: Step::Health } => {
                    if self.silent(phase, component)? {
                        open -= 1;
                    }
                }
                Signal::Woken => self.interrupted(phase)?,
                Signal::Ended(_) | Signal::Expired { .. } | Signal::Moment => {}
            }
            if open > 0 && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Box::new(self.late(phase)));
            }
        }
        Ok(())
    }

    fn answered(&mut self, phase: Phase, ended: EndedStep) -> Result<(), Box<Fault>> {
        let number = ended.component;
        let failure = ended.result.as_ref().err().cloned();
        let (progress, why) = match self.health_told(ended) {
            Health::Healthy => (Progress::Ready, None),
            Health::Degraded(why) => (Progress::Degraded, Some(why)),
            Health::Unhealthy(why) => (Progress::Failed, Some(why)),
        };
        // One that said at its start that it is not healthy has been dealt with: a better word now comes too late for those
        // that went on without it.
        if self.progress_table.at(number) == Progress::Failed {
            return Ok(());
        }
        self.progress_table.set(number, progress);
        self.record_mut(number).set_reason(why.clone());
        if progress != Progress::Failed {
            return Ok(());
        }
        let descriptor = self.descriptor(number);
        if descriptor.required {
            let message = format!("`{}` is not healthy after phase `{phase}`", descriptor.name);
            let mut fault =
                Fault::new(Code::UNHEALTHY, message).in_phase(phase).of(&descriptor.name);
            fault.causes.extend(why);
            if let Some(failure) = failure {
                fault.hints = failure.hints;
                fault.payload = failure.payload;
            }
            return Err(Box::new(fault));
        }
        self.disown(number)
    }

    /// Did not say how it is in time. `false` when it has just said it.
    fn silent(&mut self, phase: Phase, number: u32) -> Result<bool, Box<Fault>> {
        let Some(given_up) = self.steps.give_up(number, Step::Health, Then::Abandon) else {
            return Ok(false);
        };
        let limit = Seconds::from(self.deadlines.of_component(self.descriptor(number).deadline).1);
        let text = format!("it did not say how it is within {limit}");
        let why = given_up.place.map_or(text.clone(), |place| format!("{text}\n{place}"));
        self.answered(
            phase,
            EndedStep {
                component: number,
                step: Step::Health,
                result: Ok(Health::Unhealthy(why)),
                begun: given_up.begun,
                at: Instant::now(),
            },
        )?;
        Ok(true)
    }
}
