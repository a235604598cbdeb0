//! A step outside of the engine's plan that somebody waits for: of an object that comes into a place, or goes out of it.
//!
//! Callers: the bindings, for a swap. Invariant: a start that was given up and ends well after all is stopped at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use component::{Code, Component as _, Done, Failure, Health, Step};
use crossbeam_channel::{Receiver, bounded};

use super::beside::WorkBeside;
use super::component::QueuedComponent;
use super::receiver::StepReceiver;
use super::sync::Mutex;

/// A step on its way.
pub struct AwaitedStep<T> {
    component: Arc<QueuedComponent<T>>,
    step: Step,
    limit: Duration,
    at: Instant,
    outcome: Receiver<Result<Health, Failure>>,
    given_up: Arc<Mutex<bool>>,
}

/// How a step ended.
pub enum StepEnd {
    /// With this outcome.
    Told(Result<Health, Failure>),
    /// It was given up, for this reason, and stood there.
    Late(Failure, Option<String>),
}

impl<T: Send + Sync + 'static> AwaitedStep<T> {
    /// Begins a step. One that is not done in time is given up.
    pub fn begin(component: &Arc<QueuedComponent<T>>, step: Step, limit: Duration) -> Self {
        let (sender, outcome) = bounded(1);
        let given_up = Arc::new(Mutex::new(false));
        let (late, starting) = (Arc::clone(&given_up), Arc::clone(component));
        let done = Done::new(move |outcome: Result<Health, Failure>| {
            let late = late.lock();
            if !*late {
                // The receiver lives as long as nobody gave the step up.
                let _ = sender.send(outcome);
            } else if step == Step::Start && outcome.is_ok() {
                starting.begin(Step::Stop, Done::new(|_| ()));
            }
        });
        let at = Instant::now();
        component.begin(step, done);
        Self { component: Arc::clone(component), step, limit, at, outcome, given_up }
    }

    /// Waits for so long; none when it may take longer.
    pub fn wait(&self, span: Duration) -> Option<StepEnd> {
        let left = self.limit.saturating_sub(self.at.elapsed());
        match self.outcome.recv_timeout(span.min(left)) {
            Ok(outcome) => Some(StepEnd::Told(outcome)),
            Err(_) if left.is_zero() => Some(self.give_up()),
            Err(_) => None,
        }
    }

    /// Nobody waits for it any more.
    pub fn give_up(&self) -> StepEnd {
        *self.given_up.lock() = true;
        let stack = self.component.give_up(self.step);
        self.outcome.try_recv().map_or_else(|_| StepEnd::Late(self.late(), stack), StepEnd::Told)
    }

    fn late(&self) -> Failure {
        let stops = self.step == Step::Stop;
        let code = if stops { Code::STOP_TIMEOUT } else { Code::START_TIMEOUT };
        let (step, seconds) = (self.step, self.limit.as_secs_f64());
        Failure::new(code, format!("its {step} was not done after {seconds} s"))
    }
}

/// A step that belongs to the thread that waits for it, and that it has to work off meanwhile.
pub struct CallingStep<T> {
    awaited: Arc<AwaitedStep<T>>,
    beside: WorkBeside<T, StepEnd>,
}

impl<T: Send + Sync + 'static> CallingStep<T> {
    /// Begins it. A thread waits for it in place of the one that works it off.
    ///
    /// # Errors
    /// There are too many threads.
    pub fn begin(
        component: &Arc<QueuedComponent<T>>,
        step: Step,
        limit: Duration,
    ) -> std::io::Result<Self> {
        let awaited = Arc::new(AwaitedStep::begin(component, step, limit));
        let waits = Arc::clone(&awaited);
        let beside = WorkBeside::begin(component.threads(), "symphony-swap", move || {
            loop {
                if let Some(end) = waits.wait(limit) {
                    break end;
                }
            }
        })?;
        Ok(Self { awaited, beside })
    }

    /// What to work off until it has ended.
    pub fn steps(&self) -> StepReceiver<T> {
        self.beside.steps()
    }

    /// How it ended; asked for a second time, it is late.
    pub fn end(&self) -> StepEnd {
        self.beside.answer().unwrap_or_else(|| StepEnd::Late(self.awaited.late(), None))
    }
}
