//! The starts of one phase: who may begin, what an outcome means for those that wait.

use std::time::Instant;

use component::{Code, Failure, Health, Phase, Step};

use crate::event::boot_event::BootEvent;
use crate::graph::edges::index;
use crate::run::executor::Run;
use crate::run::fault::Fault;
use crate::run::progress::Progress;
use crate::run::step_table::{EndedStep, Signal, Then};

impl Run {
    /// Starts every component of a phase; returns when each has an outcome.
    pub(crate) fn starts(&mut self, phase: Phase) -> Result<(), Box<Fault>> {
        let range = self.plan.range(phase);
        let settled = range
            .clone()
            .filter(|place| self.progress_table.at(index(*place)).is_settled())
            .count();
        self.open = range.len() - settled;
        for place in range {
            let number = index(place);
            if self.record(number).is_free() {
                self.begin(number);
            }
        }
        while self.open > 0 {
            self.retry_due();
            let pause = self.retries.iter().map(|(at, _)| *at).min();
            let look = self.advances.due();
            self.look_for_progress();
            let deadline = self.deadlines.of_phase();
            match self.steps.next(pause.into_iter().chain(deadline).chain([look]).min()) {
                Signal::Ended(ended) => match ended.step {
                    Step::Start => self.start_ended(ended)?,
                    Step::Health | Step::Stop => {}
                },
                Signal::Expired { component, step: Step::Start } => {
                    self.start_expired(component)?;
                }
                Signal::Expired { .. } | Signal::Moment => {}
                Signal::Woken => self.interrupted(phase)?,
            }
            if self.open > 0 && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.ask_for_progress();
                if self.deadlines.of_phase() > deadline {
                    continue;
                }
                return Err(Box::new(self.late(phase)));
            }
        }
        Ok(())
    }

    /// Asks the starts in flight how far they are, where that is due.
    pub(crate) fn look_for_progress(&mut self) {
        if Instant::now() >= self.advances.due() {
            self.ask_for_progress();
        }
    }

    /// Asks them now: a deadline has passed.
    pub(crate) fn ask_for_progress(&mut self) {
        let now = Instant::now();
        let since = self.advances.asked(now);
        let mut came_further = false;
        for (number, step, _) in self.steps.in_flight() {
            let component = self.plan.components()[number as usize].component();
            let Some(progress) = component.progress(step).filter(|_| step == Step::Start) else {
                continue;
            };
            if !self.advances.is_at(number, progress.done, now) {
                continue;
            }
            came_further = true;
            let descriptor = self.descriptor(number);
            let (component, phase) = (descriptor.name.clone(), descriptor.phase);
            let (done, total) = (progress.done, progress.total);
            self.events
                .emit_at(now, BootEvent::ComponentProgressed { component, phase, done, total });
        }
        if came_further && !self.options.deadline_is_named {
            self.deadlines.waited(now.saturating_duration_since(since));
        }
    }

    /// Begins a start, unless the component has begun or will never begin.
    fn begin(&mut self, number: u32) {
        if self.progress_table.at(number) != Progress::Waiting {
            return;
        }
        let (name, phase) = {
            let descriptor = self.descriptor(number);
            (descriptor.name.clone(), descriptor.phase)
        };
        let (deadline, _) = self.deadlines.of_component(self.descriptor(number).deadline);
        let now = Instant::now();
        self.progress_table.set(number, Progress::Starting);
        self.record_mut(number).begin(now, deadline);
        self.events.emit_at(now, BootEvent::ComponentStarted { component: name, phase });
        self.steps.begin(number, Step::Start, deadline);
    }

    fn retry_due(&mut self) {
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) = self.retries.drain(..).partition(|(at, _)| *at <= now);
        self.retries = later;
        for (_, number) in due {
            let due = self.record_mut(number).begin_again();
            self.steps.begin(number, Step::Start, due);
        }
    }

    fn start_ended(&mut self, ended: EndedStep) -> Result<(), Box<Fault>> {
        let EndedStep { component: number, result, at, .. } = ended;
        match result {
            Ok(health) => {
                self.record_mut(number).set_up(true);
                match health {
                    Health::Healthy => self.settle(number, Progress::Ready, None, at),
                    Health::Degraded(why) => self.settle(number, Progress::Degraded, Some(why), at),
                    Health::Unhealthy(why) => {
                        let failure = Failure::new(Code::UNHEALTHY, why);
                        self.failed(number, "started, and is not healthy", failure, at)
                    }
                }
            }
            Err(failure) if failure.transient && self.try_again(number, &failure, at) => Ok(()),
            Err(failure) => self.failed(number, "failed to start", failure, at),
        }
    }

    /// Has a transient failure tried again, where attempts and the component's deadline leave room.
    fn try_again(&mut self, number: u32, failure: &Failure, at: Instant) -> bool {
        let record = self.record(number);
        let Some(pause) = record.pause_after_failure(&self.options.retry, at) else { return false };
        self.events.emit_at(
            at,
            BootEvent::ComponentRetried {
                component: self.descriptor(number).name.clone(),
                attempt: record.attempts() + 1,
                delay: pause.as_secs_f64(),
                reason: failure.message.clone(),
            },
        );
        self.record_mut(number).set_reason(Some(failure.message.clone()));
        self.retries.push((at + pause, number));
        true
    }

    fn failed(
        &mut self,
        number: u32,
        what: &str,
        failure: Failure,
        at: Instant,
    ) -> Result<(), Box<Fault>> {
        let (name, phase, required) = {
            let descriptor = self.descriptor(number);
            (descriptor.name.clone(), descriptor.phase, descriptor.required)
        };
        let attempts = self.record(number).attempts();
        let tried = if attempts > 1 { format!(", tried {attempts} times") } else { String::new() };
        let reason = format!("{}{tried}", failure.message);
        self.finish(number, Progress::Failed, Some(reason), at);
        if !required {
            return self.release(number);
        }
        let message = format!("`{name}` {what} in phase `{phase}`{tried}");
        Err(Box::new(Fault::caused_by(message, failure).in_phase(phase).of(&name)))
    }

    fn start_expired(&mut self, number: u32) -> Result<(), Box<Fault>> {
        self.ask_for_progress();
        if let Some(due) = self.due_by_its_clock(number) {
            self.steps.extend(number, Step::Start, due);
            return Ok(());
        }
        // One that is required stays in flight: the rollback leaves it a moment to end, and stops it in its turn if it does.
        let required = self.descriptor(number).required;
        let then = if required { Then::Keep } else { Then::Abandon };
        let Some(given_up) = self.steps.give_up(number, Step::Start, then) else { return Ok(()) };
        let at = Instant::now();
        let fault = self.start_late(number, given_up);
        self.finish(number, Progress::Failed, Some(fault.message.clone()), at);
        if required { Err(Box::new(fault)) } else { self.release(number) }
    }

    /// The later moment at which a start is due, where its component says that its clock began later than the start did.
    fn due_by_its_clock(&self, number: u32) -> Option<Instant> {
        let component = self.plan.components()[number as usize].component();
        let from = component.clock_from(Step::Start).max(self.advances.last_of(number))?;
        let (_, limit) = self.deadlines.of_component(self.descriptor(number).deadline);
        from.checked_add(limit).filter(|due| *due > Instant::now())
    }

    /// A component is up: those that need it go on.
    fn settle(
        &mut self,
        number: u32,
        progress: Progress,
        reason: Option<String>,
        at: Instant,
    ) -> Result<(), Box<Fault>> {
        self.finish(number, progress, reason, at);
        self.release(number)
    }

    /// A component's start has ended, whatever its outcome.
    pub(crate) fn finish(
        &mut self,
        number: u32,
        progress: Progress,
        reason: Option<String>,
        at: Instant,
    ) {
        self.told(number, progress, reason, false, at);
    }

    /// A component's start has failed because a deadline of its phase, or of the boot, passed.
    pub(crate) fn finish_late(&mut self, number: u32, reason: String, at: Instant) {
        self.told(number, Progress::Failed, Some(reason), true, at);
    }

    fn told(
        &mut self,
        number: u32,
        progress: Progress,
        reason: Option<String>,
        late: bool,
        at: Instant,
    ) {
        self.progress_table.set(number, progress);
        self.record_mut(number).set_reason(reason.clone());
        self.open -= 1;
        let begun = self.record(number).begun().unwrap_or(at);
        let descriptor = self.descriptor(number);
        self.events.emit_at(
            at,
            BootEvent::ComponentFinished {
                component: descriptor.name.clone(),
                phase: descriptor.phase,
                status: progress.status(),
                seconds: at.saturating_duration_since(begun).as_secs_f64(),
                reason,
                late,
            },
        );
    }

    /// Lets those go on that waited for this one. Works through a list, so that a long chain of those that will never begin
    /// needs no stack.
    pub(crate) fn release(&mut self, number: u32) -> Result<(), Box<Fault>> {
        let plan = self.plan.clone();
        let phase = self.current;
        let mut settled = vec![number];
        while let Some(number) = settled.pop() {
            let usable = self.progress_table.at(number).is_usable();
            for edge in plan.dependants(number).filter(|edge| edge.orders()) {
                let from = edge.from;
                self.record_mut(from).need_settled();
                if self.progress_table.at(from) != Progress::Waiting {
                    continue;
                }
                if !usable && edge.is_hard() {
                    self.skip(from, number)?;
                    settled.push(from);
                } else if self.record(from).is_free() && self.descriptor(from).phase == phase {
                    self.begin(from);
                }
            }
        }
        Ok(())
    }

    /// A component that is up turned out not to be healthy: those of later phases that cannot do without it will not begin.
    pub(crate) fn disown(&mut self, number: u32) -> Result<(), Box<Fault>> {
        let plan = self.plan.clone();
        for edge in plan.dependants(number).filter(|edge| edge.is_hard()) {
            if self.progress_table.at(edge.from) == Progress::Waiting {
                self.skip(edge.from, number)?;
                self.release(edge.from)?;
            }
        }
        Ok(())
    }

    /// A component cannot do without one that failed.
    fn skip(&mut self, number: u32, need: u32) -> Result<(), Box<Fault>> {
        let need_name = self.descriptor(need).name.clone();
        let descriptor = self.descriptor(number);
        let (name, phase, required) =
            (descriptor.name.clone(), descriptor.phase, descriptor.required);
        let reason = format!("it needs `{need_name}`, which did not start");
        self.progress_table.set(number, Progress::Skipped);
        self.record_mut(number).set_reason(Some(reason.clone()));
        if phase == self.current {
            self.open -= 1;
        }
        self.events.emit(BootEvent::ComponentSkipped {
            component: name.clone(),
            phase,
            reason: reason.clone(),
        });
        if !required {
            return Ok(());
        }
        let mut fault = Fault::new(Code::START_FAILED, format!("`{name}` cannot start: {reason}"))
            .in_phase(phase)
            .of(&name);
        fault.causes.extend(self.record(need).reason().map(str::to_owned));
        fault.hints.push(format!(
            "declare the need of `{name}` as optional, or `{need_name}` as required"
        ));
        Err(Box::new(fault))
    }
}
