//! Taking down what is up: in reverse, each once, side by side where the graph allows, never held up by one that hangs.
//!
//! The rollback of a failed boot and the shutdown of a running system are the same thing with other limits. A phase is
//! taken down after all later ones; inside it a component stops when everything that needs it has. A stop past its
//! deadline is told and no longer waited for. When the time of the whole is nearly over, everything that is still up is
//! stopped side by side, so that each is asked to stop, whatever the others do.

use std::time::{Duration, Instant};

use component::{Code, Failure, Phase, Seconds, Step};

use crate::event::boot_event::{BootEvent, Events};
use crate::graph::plan::Plan;
use crate::run::deadline::after;
use crate::run::error::StopFailure;
use crate::run::options::BootOptions;
use crate::run::progress::{Progress, ProgressTable};
use crate::run::step_table::{EndedStep, Signal, StepTable, Then};

/// How long stops may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StopLimits {
    /// One component of the last phase.
    last_phase: Duration,
    /// One component of another phase.
    each: Duration,
    /// All of them.
    all: Duration,
    /// What is kept of `all` for those that wait behind others that hang.
    reserve: Duration,
}

impl StopLimits {
    /// Those of a failed boot.
    pub(crate) fn rollback(options: &BootOptions) -> Self {
        let (each, all) = (options.stop_deadline, options.rollback_deadline);
        Self { last_phase: each, each, all, reserve: each.min(all) }
    }

    /// Those of a shutdown. User code that hangs in its stop may take a third, so that the processes of the phase before
    /// keep the time for their own graceful end.
    pub(crate) fn shutdown(timeout: Duration) -> Self {
        Self { last_phase: timeout / 3, each: timeout, all: timeout, reserve: timeout / 6 }
    }

    fn of(&self, phase: Phase) -> Duration {
        if phase == Phase::Conductor { self.last_phase } else { self.each }
    }
}

/// Where a component is on its way down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Its start was given up and may end yet; its deadline runs at the step table.
    Ending,
    /// It is up.
    Up,
    /// It was asked to stop.
    Stopping,
    /// It is down, or was never up.
    Gone,
}

/// What came of it.
pub(crate) struct Stops {
    pub(crate) stopped: usize,
    pub(crate) errors: Vec<StopFailure>,
}

/// Takes down what is up.
pub(crate) struct Stopper<'a> {
    plan: &'a Plan,
    step_table: &'a mut StepTable,
    events: &'a Events,
    progress_table: &'a ProgressTable,
    limits: StopLimits,
    lives: Vec<Life>,
    /// For each component, how many that need it are not gone.
    users: Vec<u32>,
    stops: Stops,
}

impl<'a> Stopper<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        step_table: &'a mut StepTable,
        events: &'a Events,
        progress_table: &'a ProgressTable,
        limits: StopLimits,
        lives: impl Iterator<Item = Life>,
    ) -> Self {
        let lives: Vec<Life> = lives.collect();
        let mut users = vec![0; lives.len()];
        for edge in plan.edges().iter().filter(|edge| edge.orders()) {
            if lives[edge.from as usize] != Life::Gone {
                users[edge.to as usize] += 1;
            }
        }
        let stops = Stops { stopped: 0, errors: Vec::new() };
        Self { plan, step_table, events, progress_table, limits, lives, users, stops }
    }

    pub(crate) fn run(mut self) -> Stops {
        let begun = Instant::now();
        let end = after(self.limits.all);
        let rush = end.checked_sub(self.limits.reserve).unwrap_or(begun);
        for phase in Phase::ALL.into_iter().rev() {
            let range = self.plan.range(phase);
            for place in range.clone().rev() {
                self.stop_if_free(place, end);
            }
            while Instant::now() < rush && range.clone().any(|at| self.lives[at] != Life::Gone) {
                self.step(phase, Some(rush), end);
            }
        }
        // The time is nearly over, or everything is down.
        for place in (0..self.lives.len()).rev() {
            if self.lives[place] == Life::Up {
                self.stop(place, end);
            }
        }
        while self.lives.iter().any(|life| *life != Life::Gone) {
            self.step(Phase::Foundation, None, end);
        }
        self.stops
    }

    /// Deals with one signal; what it sets free in `phase` or later is stopped.
    fn step(&mut self, phase: Phase, until: Option<Instant>, end: Instant) {
        match self.step_table.next(until) {
            Signal::Ended(ended) => self.ended(ended, phase, end),
            Signal::Expired { component, step } => self.expired(component, step, phase, end),
            // An interruption of what is being taken down changes nothing.
            Signal::Woken | Signal::Moment => {}
        }
    }

    fn ended(&mut self, ended: EndedStep, phase: Phase, end: Instant) {
        let place = ended.component as usize;
        match (ended.step, ended.result) {
            (Step::Start, Ok(_)) => {
                self.events.emit(BootEvent::StartedLate {
                    component: self.plan.components()[place].name().clone(),
                });
                self.lives[place] = Life::Up;
                self.stop_if_free(place, end);
            }
            (Step::Stop, result) => {
                let took = ended.at.saturating_duration_since(ended.begun);
                self.told(place, took, result.err());
                self.gone(place, phase, end);
            }
            (Step::Start, Err(failure)) => {
                let component = self.plan.components()[place].name().clone();
                self.events.failed_late(component, &failure);
                self.gone(place, phase, end);
            }
            (Step::Health, _) => {}
        }
    }

    fn expired(&mut self, component: u32, step: Step, phase: Phase, end: Instant) {
        let place = component as usize;
        let limit = self.limits.of(self.plan.components()[place].descriptor().phase);
        if step == Step::Stop {
            let Some(given_up) = self.step_table.give_up(component, step, Then::Abandon) else {
                return;
            };
            let limit = limit.min(self.limits.all);
            let text = format!("it did not end within {}", Seconds::from(limit));
            let mut failure = Failure::new(Code::STOP_TIMEOUT, text);
            failure.causes.extend(given_up.place);
            self.told(place, limit, Some(failure));
        } else if !self.step_table.abandon(component, step) {
            return;
        }
        self.gone(place, phase, end);
    }

    fn stop_if_free(&mut self, place: usize, end: Instant) {
        if self.lives[place] == Life::Up && self.users[place] == 0 {
            self.stop(place, end);
        }
    }

    fn stop(&mut self, place: usize, end: Instant) {
        let planned = &self.plan.components()[place];
        self.lives[place] = Life::Stopping;
        self.events.emit(BootEvent::StopStarted { component: planned.name().clone() });
        let deadline = after(self.limits.of(planned.descriptor().phase)).min(end);
        self.step_table.begin(crate::graph::edges::index(place), Step::Stop, Some(deadline));
    }

    fn told(&mut self, place: usize, took: Duration, failure: Option<Failure>) {
        let component = self.plan.components()[place].name().clone();
        self.events.emit(BootEvent::StopFinished {
            component: component.clone(),
            seconds: took.as_secs_f64(),
            reason: failure.as_ref().map(Failure::line),
        });
        match failure {
            None => self.stops.stopped += 1,
            Some(failure) => self.stops.errors.push(StopFailure { component, failure }),
        }
        let number = crate::graph::edges::index(place);
        if self.progress_table.at(number) != Progress::Failed {
            self.progress_table.set(number, Progress::Stopped);
        }
    }

    fn gone(&mut self, place: usize, phase: Phase, end: Instant) {
        self.lives[place] = Life::Gone;
        let plan = self.plan;
        for edge in plan.needs(crate::graph::edges::index(place)).filter(|edge| edge.orders()) {
            let need = edge.to as usize;
            self.users[need] -= 1;
            if plan.components()[need].descriptor().phase >= phase {
                self.stop_if_free(need, end);
            }
        }
    }
}
