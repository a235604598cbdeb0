//! Faults on purpose: which component misbehaves, in which call of which of its steps.
//!
//! Caller: [`Registry::inject`](crate::Registry::inject), for tests. The named components are wrapped: a call that a fault
//! names goes wrong in the place of the component's own, every other goes through untouched. Invariant: a fault that can
//! never happen is an error, for it would test nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use component::{
    Code, Component, ComponentName, Done, Failure, Hint, Step, StepProgress, did_you_mean,
};

use crate::graph::registry::Registry;
use crate::run::deadline::after;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// The step fails with this message. The component's own step is not run.
    Fail(String),
    /// The step does not come back before [`FaultPlan::release`]; then the component's own begins.
    Hang,
    /// The step panics with this text, where it is begun. The component's own is not run.
    Panic(String),
    /// The component's own step begins later.
    Slow(Duration),
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectedFault {
    /// Who misbehaves.
    pub component: ComponentName,
    /// In which step.
    pub step: Step,
    /// How.
    pub kind: FaultKind,
    /// In which call of the step, counted from 1.
    pub call: u32,
}

/// Faults for one boot. Steps that hang are kept here: once the plan is dropped none hangs any more, so keep it for as long
/// as the boot and its system live.
pub struct FaultPlan(Arc<Shared>);

struct Shared {
    faults: Vec<InjectedFault>,
    state: Mutex<Happened>,
    released: Condvar,
}

#[derive(Default)]
struct Happened {
    fired: Vec<usize>,
    held: Vec<Held>,
    released: bool,
    dropped: bool,
}

/// A step that hangs.
struct Held {
    component: Arc<dyn Component>,
    step: Step,
    done: Done,
    here: Arc<AtomicBool>,
}

impl Held {
    /// The component's own step begins after all.
    fn go_on(self) {
        self.here.store(false, Ordering::Release);
        self.component.begin(self.step, self.done);
    }
}

impl FaultPlan {
    /// A plan of these faults. Where two name one call, the first happens.
    pub fn new(faults: impl IntoIterator<Item = InjectedFault>) -> Self {
        let faults = faults.into_iter().collect();
        Self(Arc::new(Shared { faults, state: Mutex::default(), released: Condvar::new() }))
    }

    /// The faults that were planned.
    pub fn faults(&self) -> &[InjectedFault] {
        &self.0.faults
    }

    /// The faults that happened, in order.
    pub fn fired(&self) -> Vec<InjectedFault> {
        self.fired_at().into_iter().map(|index| self.0.faults[index].clone()).collect()
    }

    /// The places in [`FaultPlan::faults`] of those that happened, in order.
    pub fn fired_at(&self) -> Vec<usize> {
        self.0.state().fired.clone()
    }

    /// Ends every hang and every wait, now and later: the component's own steps begin, as if they had only been slow.
    pub fn release(&self) {
        let held = {
            let mut state = self.0.state();
            state.released = true;
            std::mem::take(&mut state.held)
        };
        self.0.released.notify_all();
        held.into_iter().for_each(Held::go_on);
    }

    /// Ends every hang and every wait, now and later, and the components' own steps never begin: for one whose boot is over,
    /// where a step that begins now would leave something behind.
    pub fn discard(&self) {
        let held = {
            let mut state = self.0.state();
            state.dropped = true;
            std::mem::take(&mut state.held)
        };
        self.0.released.notify_all();
        drop(held);
    }

    /// The component as it behaves under this plan; none where no fault names it.
    fn around(
        &self,
        name: &ComponentName,
        component: &Arc<dyn Component>,
    ) -> Option<Arc<dyn Component>> {
        if !self.0.faults.iter().any(|fault| fault.component == *name) {
            return None;
        }
        Some(Arc::new(Faulty {
            name: name.clone(),
            component: Arc::clone(component),
            shared: Arc::clone(&self.0),
            calls: Mutex::default(),
            here: std::array::from_fn(|_| Arc::default()),
        }))
    }

    /// Refuses faults that can never happen.
    ///
    /// # Errors
    /// [`UnknownFault`] with every one of them.
    fn check<'a>(
        &self,
        known: impl Iterator<Item = &'a ComponentName>,
    ) -> Result<(), UnknownFault> {
        let known: Vec<&str> = known.map(ComponentName::as_str).collect();
        let (mut reasons, mut hints) = (Vec::new(), Vec::new());
        for fault in &self.0.faults {
            let name = fault.component.as_str();
            if !known.contains(&name) {
                reasons.push(format!("nobody registered `{name}`"));
                hints.push(match did_you_mean(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "name a component as the report does".to_owned(),
                });
            } else if fault.call == 0 {
                reasons.push(format!("`{name}` has no call 0 of its {}", fault.step));
                hints.push("calls are counted from 1".to_owned());
            }
        }
        reasons.dedup();
        hints.dedup();
        if reasons.is_empty() { Ok(()) } else { Err(UnknownFault { reasons, hints }) }
    }
}

impl Drop for FaultPlan {
    /// What hangs holds the component that holds the plan: the ring is cut here.
    fn drop(&mut self) {
        self.discard();
    }
}

impl Registry {
    /// Has the components that a fault plan names misbehave as planned.
    ///
    /// # Errors
    /// [`UnknownFault`] when a fault can never happen: nobody registered its component, or its call is 0.
    pub fn inject(&mut self, plan: &FaultPlan) -> Result<(), UnknownFault> {
        plan.check(self.descriptors().map(|descriptor| &descriptor.name))?;
        for entry in self.entries_mut() {
            if let Some(faulty) = plan.around(&entry.descriptor.name, &entry.component) {
                entry.component = faulty;
            }
        }
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Happened> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault of this call, which happens now.
    fn fire(&self, name: &ComponentName, step: Step, call: u32) -> Option<FaultKind> {
        let index = self.faults.iter().position(|fault| {
            fault.component == *name && fault.step == step && fault.call == call
        })?;
        self.state().fired.push(index);
        Some(self.faults[index].kind.clone())
    }

    /// Keeps a step that hangs.
    fn hold(&self, held: Held) {
        let mut state = self.state();
        if state.released {
            drop(state);
            return held.go_on();
        }
        if !state.dropped {
            return state.held.push(held);
        }
        drop(state);
        let text = "the fault plan that holds it was dropped, so it cannot hang";
        held.done.tell(Err(Failure::new(Code::INTERNAL, text)));
    }

    /// Waits for a while, or until the plan is released or dropped; false when it was dropped.
    fn wait(&self, span: Duration) -> bool {
        let end = after(span);
        let mut state = self.state();
        while !state.released && !state.dropped {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            let waited = self.released.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        !state.dropped
    }
}

/// A component that misbehaves as planned.
struct Faulty {
    name: ComponentName,
    component: Arc<dyn Component>,
    shared: Arc<Shared>,
    calls: Mutex<[u32; STEPS]>,
    /// For each step, whether its latest call is kept here and has not reached the component.
    here: [Arc<AtomicBool>; STEPS],
}

const STEPS: usize = 3;

impl Faulty {
    fn slow(&self, span: Duration, held: Held) {
        let shared = Arc::clone(&self.shared);
        let waiting = std::thread::Builder::new().name("symphony-fault".to_owned());
        let started = waiting.spawn(move || {
            if shared.wait(span) {
                held.go_on();
            }
        });
        if let Err(error) = started {
            tracing::error!(target: "symphony.boot", %error, component = %self.name, "no thread for a slow step");
        }
    }
}

impl Component for Faulty {
    fn begin(&self, step: Step, done: Done) {
        let call = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls[step as usize] += 1;
            calls[step as usize]
        };
        let here = &self.here[step as usize];
        let fault = self.shared.fire(&self.name, step, call);
        here.store(fault.is_some(), Ordering::Release);
        let held = |done| Held {
            component: Arc::clone(&self.component),
            step,
            done,
            here: Arc::clone(here),
        };
        match fault {
            None => self.component.begin(step, done),
            Some(FaultKind::Fail(message)) => done.tell(Err(Failure::new(code_of(step), message))),
            // Not `panic!`: nothing is to be learnt from a message on stderr about what was asked for.
            Some(FaultKind::Panic(text)) => std::panic::resume_unwind(Box::new(text)),
            Some(FaultKind::Hang) => self.shared.hold(held(done)),
            Some(FaultKind::Slow(span)) => self.slow(span, held(done)),
        }
    }

    fn give_up(&self, step: Step) -> Option<String> {
        if self.here[step as usize].load(Ordering::Acquire) {
            // The component knows nothing of this call.
            return Some("a fault plan holds it there".to_owned());
        }
        self.component.give_up(step)
    }

    fn clock_from(&self, step: Step) -> Option<Instant> {
        if self.here[step as usize].load(Ordering::Acquire) {
            return None;
        }
        self.component.clock_from(step)
    }

    fn progress(&self, step: Step) -> Option<StepProgress> {
        // What is held there comes no further.
        if self.here[step as usize].load(Ordering::Acquire) {
            return None;
        }
        self.component.progress(step)
    }
}

const fn code_of(step: Step) -> Code {
    match step {
        Step::Start => Code::START_FAILED,
        Step::Health => Code::UNHEALTHY,
        Step::Stop => Code::STOP_FAILED,
    }
}

/// Faults that can never happen.
#[derive(Debug, Clone, thiserror::Error)]
#[error("a planned fault can never happen: {}", .reasons.join(", "))]
pub struct UnknownFault {
    reasons: Vec<String>,
    hints: Vec<String>,
}

impl Hint for UnknownFault {
    fn code(&self) -> Code {
        Code::INVALID_VALUE
    }

    fn hints(&self) -> Vec<String> {
        self.hints.clone()
    }
}
