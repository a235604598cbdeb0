//! Runs a plan: phase by phase, each component the moment its own needs are healthy.
//!
//! One thread dispatches: it begins steps, hears of them through the step table's channel, and waits for nothing but that
//! channel, until the nearest deadline. So no component can keep it, and `run` returns at its deadline whatever they do. The parts
//! of a run: `start` (a phase's starts), `gate` (health between phases), `deadline` (which one binds), `late` (what
//! its passing says), `cut_short` (the end of a phase that fails), `stopper` (the rollback).

use std::sync::Arc;
use std::time::{Duration, Instant};

use component::{Code, Descriptor, Phase, Seconds, Step};

use crate::event::boot_event::{BootEvent, Events, Status};
use crate::graph::plan::Plan;
use crate::report::boot_report::{self, BootReport, ErrorReport};
use crate::report::budgets::BudgetViolation;
use crate::report::memory;
use crate::run::advances::Advances;
use crate::run::component_record::ComponentRecord;
use crate::run::deadline::{Deadlines, after};
use crate::run::error::BootFailure;
use crate::run::fault::Fault;
use crate::run::options::BootOptions;
use crate::run::progress::{Progress, ProgressTable};
use crate::run::running::Running;
use crate::run::step_table::{StepTable, Then};
use crate::run::stopper::{Life, StopLimits, Stopper, Stops};

/// A boot that is about to run.
pub struct Boot {
    plan: Plan,
    options: BootOptions,
    progress_table: ProgressTable,
}

impl Boot {
    /// A boot of this plan.
    pub fn new(plan: Plan, options: BootOptions) -> Self {
        let progress_table = ProgressTable::new(plan.clone());
        Self { plan, options, progress_table }
    }

    /// How each component stands, readable from any thread while the boot runs.
    pub fn progress_table(&self) -> ProgressTable {
        self.progress_table.clone()
    }

    /// Runs the boot on this thread, which only dispatches: it returns at its deadline (and what the rollback takes)
    /// whatever the components do.
    ///
    /// # Errors
    /// [`BootFailure`] with the first failure, after everything that had started was stopped.
    pub fn run(self) -> Result<Running, Box<BootFailure>> {
        let latch = self.options.latch.clone();
        let result = Run::new(self).run();
        if let Some(latch) = latch {
            latch.ended();
        }
        result
    }
}

/// A boot that runs.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) options: BootOptions,
    pub(crate) progress_table: ProgressTable,
    pub(crate) events: Events,
    pub(crate) steps: StepTable,
    pub(crate) deadlines: Deadlines,
    /// By number of component.
    records: Vec<ComponentRecord>,
    /// Starts that are tried again, and when.
    pub(crate) retries: Vec<(Instant, u32)>,
    /// Components of the phase that have no outcome yet.
    pub(crate) open: usize,
    /// The phase that runs.
    pub(crate) current: Phase,
    pub(crate) advances: Advances,
    called: Instant,
    memory_before: u64,
}

impl Run {
    fn new(boot: Boot) -> Self {
        let Boot { plan, options, progress_table } = boot;
        let called = options.called.unwrap_or_else(Instant::now);
        let events = Events::new(called, options.sinks.clone());
        let mut records = vec![ComponentRecord::default(); plan.components().len()];
        for edge in plan.edges().iter().filter(|edge| edge.orders()) {
            records[edge.from as usize].add_need();
        }
        Self {
            steps: StepTable::new(plan.clone(), events.clone()),
            deadlines: Deadlines::new(called, &options),
            records,
            retries: Vec::new(),
            open: 0,
            current: Phase::Foundation,
            advances: Advances::default(),
            called,
            memory_before: options.memory_before.unwrap_or_else(memory::peak),
            plan,
            options,
            progress_table,
            events,
        }
    }

    fn run(mut self) -> Result<Running, Box<BootFailure>> {
        self.events.emit(BootEvent::BootStarted {
            system: Arc::clone(&self.options.system),
            components: self.plan.components().len(),
        });
        for event in std::mem::take(&mut self.options.told_first) {
            self.events.emit(event);
        }
        self.options.interruption.wake(self.steps.waker());
        if let Some(latch) = &self.options.latch {
            latch.wake(self.steps.waker());
        }
        for phase in Phase::ALL {
            if let Err(fault) = self.phase(phase) {
                return Err(self.fail(phase, *fault));
            }
        }
        // Told while the last gate was passed: its caller must not be given a system that he gave up.
        let last = self.current;
        if let Err(fault) = self.interrupted(last) {
            return Err(self.fail(last, *fault));
        }
        Ok(self.ready())
    }

    fn phase(&mut self, phase: Phase) -> Result<(), Box<Fault>> {
        self.wait_for_latch(phase)?;
        let begun = Instant::now();
        let limits = self.options.phases.of(phase);
        self.current = phase;
        self.deadlines.enter(begun, limits.timeout);
        let components = self.plan.range(phase).len();
        self.events.emit_at(begun, BootEvent::PhaseStarted { phase, components });
        let started = self.starts(phase);
        if started.is_err() {
            self.cut_short();
        }
        let ended = started.and_then(|()| self.gate(phase));
        let status = match &ended {
            Ok(status) => *status,
            Err(_) => Status::Failed,
        };
        let took = begun.elapsed();
        let seconds = took.as_secs_f64();
        self.events.emit(BootEvent::PhaseFinished { phase, status, seconds });
        ended?;
        self.budget(&format!("phases.{phase}"), limits.budget, took);
        if let Some(latch) = &self.options.latch {
            latch.passed(phase);
        }
        Ok(())
    }

    /// Waits until the phase was asked for. The wait is its caller's: the boot's deadline moves with it.
    fn wait_for_latch(&mut self, phase: Phase) -> Result<(), Box<Fault>> {
        self.interrupted(phase)?;
        let Some(latch) = self.options.latch.clone() else { return Ok(()) };
        if latch.is_open(phase) {
            return Ok(());
        }
        let begun = Instant::now();
        self.events.emit_at(begun, BootEvent::WaitStarted { phase });
        while !latch.is_open(phase) {
            let _ = self.steps.next(None);
            self.interrupted(phase)?;
        }
        let waited = begun.elapsed();
        self.deadlines.waited(waited);
        self.events.emit(BootEvent::WaitFinished { phase, seconds: waited.as_secs_f64() });
        Ok(())
    }

    pub(crate) fn record(&self, number: u32) -> &ComponentRecord {
        &self.records[number as usize]
    }

    pub(crate) fn record_mut(&mut self, number: u32) -> &mut ComponentRecord {
        &mut self.records[number as usize]
    }

    pub(crate) fn descriptor(&self, number: u32) -> &Descriptor {
        self.plan.components()[number as usize].descriptor()
    }

    /// The failure of an interrupted boot.
    pub(crate) fn interrupted(&self, phase: Phase) -> Result<(), Box<Fault>> {
        match self.options.interruption.fault() {
            None => Ok(()),
            Some(fault) if fault.code != Code::INTERRUPTED => Err(Box::new(fault)),
            Some(fault) => {
                let mut fault = fault.in_phase(phase);
                for (number, step, begun) in self.steps.in_flight() {
                    let (name, spent) =
                        (&self.descriptor(number).name, Seconds::from(begun.elapsed()));
                    fault.causes.push(format!("`{name}` was still in its {step} after {spent}"));
                }
                Err(Box::new(fault))
            }
        }
    }

    fn budget(&self, name: &str, budget: Option<Duration>, actual: Duration) {
        if let Some(limit) = budget.filter(|limit| actual > *limit) {
            let (limit, actual) = (limit.as_secs_f64(), actual.as_secs_f64());
            self.events.emit(BootEvent::BudgetExceeded { name: name.to_owned(), limit, actual });
        }
    }

    fn ready(self) -> Running {
        let at = Instant::now();
        let degraded = self
            .plan
            .components()
            .iter()
            .zip(0..)
            .any(|(_, number)| !matches!(self.progress_table.at(number), Progress::Ready));
        let status = if degraded { Status::Degraded } else { Status::Ready };
        let seconds = self.events.seconds(at);
        let mut report = self.report(at, None);
        let (ready, overhead) = (report.ready_seconds, report.overhead_seconds);
        for violation in self.options.budgets.exceeded(ready, overhead, report.memory_mb) {
            let BudgetViolation { name, limit, actual } = violation.clone();
            self.events.emit(BootEvent::BudgetExceeded { name, limit, actual });
            report.budget_violations.push(violation);
        }
        self.events.emit_at(at, BootEvent::BootFinished { status, seconds, error: None });
        report.events = self.events.kept();
        let up = self.records.iter().map(ComponentRecord::is_up).collect();
        Running::new(self.plan, self.events, self.progress_table, up, Arc::new(report))
    }

    fn fail(mut self, phase: Phase, fault: Fault) -> Box<BootFailure> {
        let mut fault = fault;
        fault.phase.get_or_insert(phase);
        let begun = Instant::now();
        self.events.emit_at(begun, BootEvent::RollbackStarted { reason: fault.message.clone() });
        let stops = self.roll_back();
        self.events.emit(BootEvent::RollbackFinished {
            seconds: begun.elapsed().as_secs_f64(),
            stopped: stops.stopped,
            errors: stops.errors.len(),
        });
        let at = Instant::now();
        let seconds = self.events.seconds(at);
        let error = Some(fault.message.clone());
        self.events.emit_at(at, BootEvent::BootFinished { status: Status::Failed, seconds, error });
        let report = Arc::new(self.report(begun, Some(fault.report())));
        Box::new(fault.into_failure(stops.errors, report))
    }

    /// Gives up what is in flight, and takes down what is up. A start that was just given up has a moment to end, so that it
    /// is stopped in its turn; what does not is dealt with whenever it ends.
    fn roll_back(&mut self) -> Stops {
        let life = |record: &ComponentRecord| if record.is_up() { Life::Up } else { Life::Gone };
        let mut lives: Vec<Life> = self.records.iter().map(life).collect();
        let grace = after(self.options.grace);
        for (number, step, _) in self.steps.in_flight() {
            let told = self.deadlines.is_given_up(number, step);
            if step == Step::Start {
                lives[number as usize] = Life::Ending;
                if told {
                    self.steps.extend(number, step, grace);
                } else {
                    // One that has just ended needs no deadline: its outcome is in the channel.
                    let _ = self.steps.give_up(number, step, Then::Wait(grace));
                }
            } else {
                self.steps.abandon(number, step);
            }
        }
        let limits = StopLimits::rollback(&self.options);
        let lives = lives.into_iter();
        Stopper::new(&self.plan, &mut self.steps, &self.events, &self.progress_table, limits, lives)
            .run()
    }

    fn report(&self, end: Instant, error: Option<ErrorReport>) -> BootReport {
        let source = boot_report::Source {
            plan: &self.plan,
            system: &self.options.system,
            launched: self.options.launched,
            called: self.called,
            phase_budgets: self.options.phases.budgets(),
            outside: &self.options.outside,
            children: &self.options.children,
            grants: &self.options.grants,
            end: self.events.seconds(end),
            memory_before: self.memory_before,
        };
        boot_report::build(&source, self.events.kept(), error)
    }
}
