//! Makes components of functions: `system` writes what a member does, these say where it runs.
//!
//! [`Blocking`] runs on a small pool of threads that grows past a step that hangs; [`Immediate`] right where it is
//! asked for, for what takes no time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use component::{Component, Done, Failure, Health, Step};

use crate::run::blocking_threads::{Job, Threads};
use crate::run::step_table::{panic_text, panicked};

type Function = Arc<dyn Fn() -> Result<Health, Failure> + Send + Sync>;
type Action = Arc<dyn Fn() -> Result<(), Failure> + Send + Sync>;

/// The functions of a component; those that are not set do nothing and are well.
#[derive(Clone)]
struct Functions {
    start: Function,
    health: Option<Function>,
    stop: Option<Action>,
}

impl Functions {
    fn of(&self, step: Step) -> Option<Function> {
        match step {
            Step::Start => Some(Arc::clone(&self.start)),
            Step::Health => self.health.clone(),
            Step::Stop => self
                .stop
                .clone()
                .map(|stop| -> Function { Arc::new(move || stop().map(|()| Health::Healthy)) }),
        }
    }
}

/// Runs a step; a panic is a failure of it.
fn guarded(step: Step, function: &Function) -> Result<Health, Failure> {
    catch_unwind(AssertUnwindSafe(|| function()))
        .unwrap_or_else(|panic| Err(panicked(step, &panic_text(&*panic))))
}

/// A component whose steps are blocking functions, run on a pool of threads.
pub struct Blocking {
    threads: Threads,
    functions: Functions,
    /// Its steps that may not have ended, in the order in which they were begun.
    asked: Mutex<Vec<(Step, Job)>>,
}

impl Blocking {
    /// A component that starts by this function. It may be called again when its failure is transient.
    pub fn new(
        threads: &Threads,
        start: impl Fn() -> Result<Health, Failure> + Send + Sync + 'static,
    ) -> Self {
        let functions = Functions { start: Arc::new(start), health: None, stop: None };
        Self { threads: threads.clone(), functions, asked: Mutex::default() }
    }

    /// Answers how it is by this function; healthy without one.
    #[must_use]
    pub fn health(
        mut self,
        health: impl Fn() -> Result<Health, Failure> + Send + Sync + 'static,
    ) -> Self {
        self.functions.health = Some(Arc::new(health));
        self
    }

    /// Stops by this function.
    #[must_use]
    pub fn stop(mut self, stop: impl Fn() -> Result<(), Failure> + Send + Sync + 'static) -> Self {
        self.functions.stop = Some(Arc::new(stop));
        self
    }
}

impl Component for Blocking {
    fn begin(&self, step: Step, done: Done) {
        match self.functions.of(step) {
            None => done.tell(Ok(Health::Healthy)),
            Some(function) => {
                let job = self.threads.run(move || done.tell(guarded(step, &function)));
                let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                asked.retain(|(_, job)| self.threads.has(*job));
                asked.push((step, job));
            }
        }
    }

    fn give_up(&self, step: Step) -> Option<String> {
        // A Rust function cannot be interrupted; its thread is not counted as long as it hangs. Of several questions after its
        // health the first asked is the first past its deadline.
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let _ = asked.iter().any(|(of, job)| *of == step && self.threads.give_up(*job));
        None
    }
}

/// A component whose steps take no time (far less than a millisecond) and are run where they are asked for.
pub struct Immediate(Functions);

impl Immediate {
    /// A component that starts by this function.
    pub fn new(start: impl Fn() -> Result<Health, Failure> + Send + Sync + 'static) -> Self {
        Self(Functions { start: Arc::new(start), health: None, stop: None })
    }

    /// Answers how it is by this function; healthy without one.
    #[must_use]
    pub fn health(
        mut self,
        health: impl Fn() -> Result<Health, Failure> + Send + Sync + 'static,
    ) -> Self {
        self.0.health = Some(Arc::new(health));
        self
    }

    /// Stops by this function.
    #[must_use]
    pub fn stop(mut self, stop: impl Fn() -> Result<(), Failure> + Send + Sync + 'static) -> Self {
        self.0.stop = Some(Arc::new(stop));
        self
    }
}

impl Component for Immediate {
    fn begin(&self, step: Step, done: Done) {
        done.tell(self.0.of(step).map_or(Ok(Health::Healthy), |function| guarded(step, &function)));
    }
}
