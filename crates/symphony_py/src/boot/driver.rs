//! `_core.Boot`: one boot, driven from `symphony/_boot/starter.py`.
//!
//! The engine runs on a thread of its own; the calling thread meanwhile imports what only it may import and works off
//! the steps that belong to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boot_orchestrator::steps::{ThreadKind, ThreadOrder};
use boot_orchestrator::system::{System, SystemOptions};
use boot_orchestrator::{
    AwaitedBy, BootFailure, Interruption, Outside, Passage, PhaseLatch, default_deadlines,
    newcomer_faults,
};
use component::{Code, ComponentName, Descriptor, Need, NeedKind, Phase, Remedy, Step};
use orchestra_kit::manifest::{Durability, SafeMode, store_limits};
use parking_lot::Mutex;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::boot::engine_thread::{Ended, EngineThread, Outcome, registry};
use crate::boot::events::{EventQueue, Events};
use crate::boot::fault_plan::FaultPlan;
use crate::boot::late_binding::{self, LateBinding};
use crate::boot::report::BootReport;
use crate::boot::running::Running;
use crate::boot::watchdog::Watchdog;
use crate::door::diagnostic::{Diagnostic, list};
use crate::door::edge::Keys;
use crate::door::enter::{enter, guard, wait_polling};
use crate::door::error::{Fields, Raised, failure_of, raise};
use crate::door::process::environment;
use crate::door::span::span;
use crate::door::spec::ComponentSpec;
use crate::steps::live::{Live, LiveComponent, LivePlace, LiveThreads};
use crate::steps::swap::Slot;
use crate::steps::threads::{JobQueue, Keeper};
use crate::work::bus::IpcBus;
use crate::work::in_process::InProcessRuns;
use crate::work::kit::Kit;

struct BootState {
    components: Vec<(Descriptor, Arc<LivePlace>)>,
    keys: Keys,
    faults: Vec<component::Diagnostic>,
    outcome: Option<crossbeam_channel::Receiver<Outcome>>,
    outside: Vec<(String, Instant, u64)>,
    conductor: Option<ComponentName>,
    /// An error of a boot with which work outside of every component ended: it says it all, so it is what is raised.
    outside_failure: Option<Py<PyAny>>,
    interruption: Option<Py<PyAny>>,
    /// The system that was handed out, until its taker says that it has it.
    handed: Option<Py<Running>>,
    /// Which steps go wrong on purpose.
    faults_planned: Option<Py<FaultPlan>>,
}

/// One boot.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Boot {
    system: Arc<System>,
    called: Instant,
    timeout: Option<Duration>,
    latch: Option<PhaseLatch>,
    interruption: Interruption,
    observed: Arc<Events>,
    threads: Arc<LiveThreads>,
    memory_before: u64,
    state: Mutex<BootState>,
    watchdog: Arc<Watchdog>,
}

#[pymethods]
impl Boot {
    #[new]
    #[pyo3(signature = (*, path=None, state=None, workspace=None, python=None, members=None, store=None, durability=None, safe_mode=None, without=Vec::new(), supervisor=Vec::new(), foreign_python=Vec::new(), own_python=Vec::new(), timeout, abort_on_hang, stepwise))]
    fn new(
        py: Python<'_>,
        path: Option<String>,
        state: Option<String>,
        workspace: Option<String>,
        python: Option<String>,
        members: Option<Vec<String>>,
        store: Option<BTreeMap<String, String>>,
        durability: Option<String>,
        safe_mode: Option<String>,
        without: Vec<String>,
        supervisor: Vec<String>,
        foreign_python: Vec<String>,
        own_python: Vec<String>,
        timeout: Option<f64>,
        abort_on_hang: bool,
        stepwise: bool,
    ) -> PyResult<Self> {
        let called = Instant::now();
        let memory_before = boot_orchestrator::peak_memory();
        let timeout = timeout.map(|seconds| span(py, "timeout", seconds)).transpose()?;
        let refused = |message| {
            let mut fields = Fields::new(Code::MANIFEST_INVALID, message);
            fields.phase = Some(Phase::Foundation.as_str().to_owned());
            fields.boot = true;
            fields.raise(py)
        };
        let store = store_limits(&store.unwrap_or_default()).map_err(refused)?;
        let durability = durability.map(|given| Durability::parse(&given)).transpose();
        let durability = durability.map_err(refused)?;
        let safe_mode = safe_mode.map(|given| SafeMode::parse(&given)).transpose();
        let safe_mode = safe_mode.map_err(refused)?;
        let options = SystemOptions {
            manifest: path.map(Into::into),
            state: state.map(Into::into),
            workspace: workspace.map(Into::into),
            python: python.map(Into::into),
            members,
            store,
            durability,
            safe_mode,
            without,
            supervisor,
            foreign_python,
            own_python,
            environment: environment(py)?,
        };
        // Sources are read by `check` and by Melodies, not on the way to ready.
        let opened = enter(py, || System::open(options, None))?;
        let system = opened.map_err(|faults| Fields::of_manifest(faults).raise(py))?;
        let system = Arc::new(system);
        crate::door::process::remember(&system);
        Ok(Self {
            system,
            called,
            timeout,
            latch: stepwise.then(PhaseLatch::new),
            interruption: Interruption::new(),
            observed: Arc::new(Events::default()),
            threads: LiveThreads::new(),
            memory_before,
            watchdog: Arc::new(Watchdog::new(abort_on_hang)),
            state: Mutex::new(BootState {
                components: Vec::new(),
                keys: Keys::default(),
                faults: Vec::new(),
                outcome: None,
                outside: Vec::new(),
                conductor: None,
                outside_failure: None,
                interruption: None,
                handed: None,
                faults_planned: None,
            }),
        })
    }

    #[getter]
    fn keeper(&self) -> Keeper {
        Keeper { threads: Arc::clone(&self.threads) }
    }

    #[getter]
    fn calling(&self) -> JobQueue {
        JobQueue::calling(&self.threads)
    }

    #[getter]
    fn events(&self) -> EventQueue {
        self.observed.queue()
    }

    /// A component of the core is overridden: it is not started.
    fn replace(&self, key: &str) {
        self.system.replace(key);
    }

    /// Faults that Python found; told together with those of the plan.
    fn faults(&self, faults: Vec<PyRef<'_, Diagnostic>>) {
        self.state.lock().faults.extend(faults.iter().map(|fault| fault.0.clone()));
    }

    /// Registers a Python component; gives its place, in which it may be swapped.
    fn add(
        &self,
        py: Python<'_>,
        live: Live,
        spec: PyRef<'_, ComponentSpec>,
        conductor: bool,
    ) -> PyResult<Slot> {
        // What a key is called its author's code may tell, which runs under no lock.
        let mut keys = std::mem::take(&mut self.state.lock().keys);
        let mut descriptor = keys.descriptor(py, &spec)?;
        let mut state = self.state.lock();
        state.keys = keys;
        if conductor {
            state.conductor = Some(descriptor.name.clone());
            // Its import and factory have the boot's deadline only.
            descriptor.deadline = Some(self.timeout.unwrap_or(default_deadlines::BOOT));
            if spec.is_unread() {
                // It may need any component, so it waits for each.
                descriptor.needs.extend(state.components.iter().map(|(other, _)| after(other)));
            }
        }
        let place = LivePlace::new(LiveComponent::new(live, spec.thread_kind(), &self.threads));
        let slot = Slot::new(&place, &self.threads);
        state.components.push((descriptor, place));
        Ok(slot)
    }

    /// Whether a component that was registered has a late need.
    #[getter]
    fn has_late(&self) -> bool {
        let state = self.state.lock();
        state.components.iter().any(|(descriptor, _)| late(descriptor).next().is_some())
    }

    /// Registers the component that binds late edges, after all that they connect. Its work is Symphony's own.
    fn add_late_binding(&self, py: Python<'_>, container: Py<PyAny>) -> PyResult<()> {
        let live = Py::new(py, LateBinding::new(container))?.into_any();
        let component = LiveComponent::new(live, ThreadKind::Shared, &self.threads);
        let mut state = self.state.lock();
        let mut descriptor = Descriptor::new(late_binding::NAME, Phase::Conductor);
        for (consumer, _) in &state.components {
            for need in late(consumer) {
                let target = Need { kind: NeedKind::Every, ..Need::one(need.key.clone()) };
                descriptor.needs.push(after(consumer));
                descriptor.needs.push(Need { named: need.named.clone(), ..target });
            }
        }
        descriptor.needs.extend(state.components.last().map(|(last, _)| after(last)));
        state.components.push((descriptor, LivePlace::new(component)));
        Ok(())
    }

    /// What the planner has against a component that comes later: a Conductor that was just imported, or what is to take
    /// a place in a system that is up.
    ///
    /// `specs` are all components, with the newcomer at `place` under the name of the one that it replaces.
    fn newcomer_faults<'py>(
        &self,
        py: Python<'py>,
        specs: Vec<PyRef<'py, ComponentSpec>>,
        place: usize,
        called: &str,
        is_up: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut keys = Keys::default();
        let mut others =
            specs.iter().map(|spec| keys.descriptor(py, spec)).collect::<PyResult<Vec<_>>>()?;
        if let Some(newcomer) = others.get_mut(place).filter(|_| is_up) {
            for need in &mut newcomer.needs {
                need.remedy = Remedy::TooLate;
            }
        }
        let own = registry(&self.system, Vec::new());
        list(py, &newcomer_faults(own, others, place, called.into()))
    }

    /// Has steps go wrong on purpose; to be called before `start()`.
    fn inject(&self, plan: Py<FaultPlan>) {
        self.state.lock().faults_planned = Some(plan);
    }

    /// Has an extension served in this process; to be called before `start()`.
    fn serve_in_process(&self, runs: PyRef<'_, InProcessRuns>) {
        self.system.serve_in_process(runs.server());
    }

    /// Plans, and starts the engine's thread; a fault of the plan is raised by `result()`.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        guard(py)?;
        let (sender, receiver) = crossbeam_channel::bounded(1);
        let (components, faults, injected) = {
            let mut state = self.state.lock();
            state.outcome = Some(receiver);
            let components = std::mem::take(&mut state.components);
            let injected = state.faults_planned.take().map(|plan| plan.get().plan());
            (components, std::mem::take(&mut state.faults), injected)
        };
        let mut options = self.system.boot_options();
        options.called = Some(self.called);
        options.memory_before = Some(self.memory_before);
        options.latch.clone_from(&self.latch);
        options.interruption = self.interruption.clone();
        options.sinks.push(Arc::clone(&self.observed) as Arc<dyn boot_orchestrator::EventSink>);
        let heard = py.import("sys")?.getattr(intern!(py, "modules"))?.contains("logging")?;
        options.sinks.push(Arc::new(crate::boot::log::BootLog { heard }));
        if let Some(timeout) = self.timeout {
            options.deadline = timeout;
            options.deadline_is_named = true;
        }
        let engine = EngineThread {
            system: Arc::clone(&self.system),
            components,
            faults,
            injected,
            options,
            threads: Arc::clone(&self.threads),
        };
        let watchdog = Arc::clone(&self.watchdog);
        std::thread::Builder::new()
            .name("symphony-boot".to_owned())
            .spawn(move || {
                let system = Arc::clone(&engine.system);
                let threads = Arc::clone(&engine.threads);
                let outcome = engine.run();
                let failure = match &outcome {
                    Err(Ended::Failed(failure)) => Some(failure.text()),
                    _ => None,
                };
                // The receiver is gone only when the whole boot object is: nobody is left to be told.
                let _ = sender.send(outcome);
                threads.calling().close();
                if let Some(failure) = failure {
                    watchdog.watch(&failure, &system, || threads.order(ThreadOrder::Interrupt));
                }
            })
            .map_err(|error| {
                Fields::new(Code::INTERNAL, "the boot's thread cannot be started")
                    .because(&error)
                    .raise(py)
            })?;
        Ok(())
    }

    /// Work on the calling thread that is no component's step begins.
    fn outside_begun(&self, name: String) -> usize {
        let mut state = self.state.lock();
        state.outside.push((name, Instant::now(), boot_orchestrator::peak_memory()));
        state.outside.len() - 1
    }

    /// It ended. Before `start()` it is the plan that has waited for it, afterwards the Conductor.
    fn outside_ended(&self, token: usize) {
        let state = self.state.lock();
        let awaited_by = match (&state.outcome, &state.conductor) {
            (None, _) => AwaitedBy::Plan,
            (Some(_), Some(conductor)) => AwaitedBy::Start(conductor.clone()),
            (Some(_), None) => AwaitedBy::Engine,
        };
        if let Some((name, from, before)) = state.outside.get(token) {
            self.system.outside().add(Outside {
                name: name.as_str().into(),
                phase: Phase::Conductor,
                from: *from,
                to: Instant::now(),
                memory: boot_orchestrator::peak_memory().saturating_sub(*before),
                awaited_by,
            });
        }
    }

    /// It raised: the boot is rolled back, and raises this.
    fn outside_failed(&self, name: String, error: &Bound<'_, PyAny>) {
        if error.hasattr("rollback_errors").unwrap_or(false) {
            self.state.lock().outside_failure = Some(error.clone().unbind());
        }
        let failure = failure_of(Step::Start, error);
        self.interruption.fail(format!("`{name}` failed"), Phase::Conductor, &name, failure);
    }

    /// Ctrl-C or SIGTERM: rolls back, and `result()` raises it.
    fn interrupt(&self, py: Python<'_>, error: &Bound<'_, PyAny>) {
        {
            let mut state = self.state.lock();
            if state.interruption.is_none() {
                state.interruption = Some(error.clone().unbind());
            }
        }
        let _ = py;
        self.interruption.interrupt("interrupted by a signal");
    }

    /// Ends a boot that its caller cannot carry on.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        self.watchdog.is_back();
        self.interruption.interrupt("its caller gave up");
        let receiver = self.state.lock().outcome.take();
        enter(py, || {
            if let Some(receiver) = receiver
                && let Ok(Ok(running)) = receiver.recv()
            {
                running.shutdown(Duration::from_secs(3));
            }
            self.observed.finish();
            self.system.close();
        })
    }

    /// Lets a stepwise boot go on through a phase; false when the boot ended without it.
    fn advance(&self, py: Python<'_>, phase: &str) -> PyResult<bool> {
        let (Some(latch), Some(phase)) = (&self.latch, Phase::parse(phase)) else {
            return Ok(true);
        };
        latch.open(phase);
        wait_polling(py, |span| match latch.wait(phase, span) {
            Passage::Passed => Some(true),
            Passage::Ended => Some(false),
            Passage::TimedOut => None,
        })
    }

    /// The running system; to be called after the calling thread's queue has ended.
    ///
    /// Components are planned by the places that are cheap to know. Where the plan is at fault, `relocate` adds them once
    /// more with exact places, and the faults are told by those.
    fn result(&self, py: Python<'_>, relocate: &Bound<'_, PyAny>) -> PyResult<Py<Running>> {
        self.watchdog.is_back();
        let receiver = self.state.lock().outcome.take();
        let Some(receiver) = receiver else {
            return Err(Fields::new(Code::INTERNAL, "the boot was never started").raise(py));
        };
        let outcome = enter(py, || {
            let outcome = receiver.recv();
            self.observed.finish();
            outcome
        })?;
        let concluded = self.concluded(py, outcome, relocate);
        let result = concluded.and_then(|running| Py::new(py, running));
        let mut state = self.state.lock();
        let result = match state.interruption.take() {
            // A plan at fault is no news to somebody who ends the program.
            Some(error) if result.is_err() => Err(PyErr::from_value(error.into_bound(py))),
            _ => result,
        };
        state.handed = result.as_ref().ok().map(|running| running.clone_ref(py));
        drop(state);
        // An exception holds the frames that it went through, and those hold this: a ring that no collector sees.
        self.interruption.forget();
        self.state.lock().outside_failure = None;
        result
    }

    /// The system that `result()` gave, once more, and never again.
    fn handed(&self) -> Option<Py<Running>> {
        self.state.lock().handed.take()
    }

    /// The bus, once its phase has passed.
    fn bus(&self, py: Python<'_>) -> PyResult<IpcBus> {
        IpcBus::of(&self.system).ok_or_else(|| {
            Fields::new(Code::COMPONENT_NOT_FOUND, "the bus was not started").raise(py)
        })
    }

    /// The handle of a Pit member that was started, else `None`.
    fn member(&self, py: Python<'_>, name: &str) -> PyResult<Option<Py<PyAny>>> {
        crate::pit::member(py, &self.system, name)
    }

    /// The place of a Pit member, in which something else may be swapped; `None` where there is no such member.
    fn member_seat(&self, name: &str) -> Option<crate::pit::MemberSeat> {
        let member = orchestra_kit::manifest::Member::parse(name)?;
        Some(crate::pit::MemberSeat::new(
            Arc::clone(&self.system),
            member,
            Arc::clone(&self.threads),
        ))
    }

    /// The Orchestra Kit, once its phase has passed.
    fn kit(&self, py: Python<'_>) -> PyResult<Kit> {
        Kit::of(&self.system).ok_or_else(|| {
            Fields::new(Code::COMPONENT_NOT_FOUND, "the Orchestra Kit was not started").raise(py)
        })
    }
}

impl Boot {
    /// The running system, or the error.
    fn concluded(
        &self,
        py: Python<'_>,
        outcome: Result<Outcome, crossbeam_channel::RecvError>,
        relocate: &Bound<'_, PyAny>,
    ) -> PyResult<Running> {
        match outcome {
            Ok(Ok(running)) if self.state.lock().interruption.is_some() => {
                // The signal came when everything was up already.
                py.detach(|| {
                    running.shutdown(Duration::from_secs(3));
                    self.system.close();
                });
                let interruption = self.state.lock().interruption.take();
                Err(interruption.map_or_else(
                    || Fields::new(Code::INTERNAL, "the interruption was taken twice").raise(py),
                    |error| PyErr::from_value(error.into_bound(py)),
                ))
            }
            Ok(Ok(running)) => {
                Ok(Running::new(running, Arc::clone(&self.system), Arc::clone(&self.threads)))
            }
            Ok(Err(Ended::Failed(failure))) => {
                py.detach(|| self.system.close());
                Err(self.failed(py, &failure))
            }
            Ok(Err(Ended::Faults(read, planned))) => {
                let planned = self.planned_again(relocate).map(|exact| exact.unwrap_or(planned));
                py.detach(|| self.system.close());
                let mut fields = Fields::new(Code::INTERNAL, String::new());
                fields.diagnostics = read;
                fields.diagnostics.extend(planned?);
                fields.boot = true;
                Err(fields.raise(py))
            }
            Ok(Err(Ended::NeverHappens(error))) => {
                py.detach(|| self.system.close());
                Err(raise(py, &error))
            }
            Err(_) => {
                Err(Fields::new(Code::INTERNAL, "the boot's thread ended without a word").raise(py))
            }
        }
    }

    fn failed(&self, py: Python<'_>, failure: &BootFailure) -> PyErr {
        let mut state = self.state.lock();
        if let Some(error) = state.interruption.take() {
            return PyErr::from_value(error.into_bound(py));
        }
        let report =
            Py::new(py, BootReport::new(Arc::clone(&failure.report))).ok().map(Py::into_any);
        let outside = state.outside_failure.take();
        drop(state);
        let rollback = failure.rollback_errors.iter().map(|stop| {
            let mut fields = Fields::of_failure(&stop.failure);
            fields.message = stop.to_string();
            fields.component = Some(stop.component.to_string());
            fields.boot = true;
            fields
        });
        if let Some(error) = outside.filter(|error| is_payload(py, failure, error)) {
            let rollback: Vec<Py<PyAny>> =
                rollback.map(|fields| fields.raise(py).into_value(py).into_any()).collect();
            let error = error.into_bound(py);
            return match error.call_method1("_rolled_back", (report, rollback)) {
                Ok(_) => PyErr::from_value(error),
                Err(error) => error,
            };
        }
        let mut fields = Fields {
            code: failure.code.as_str(),
            message: failure.message.clone(),
            causes: failure.causes.clone(),
            hints: failure.hints.clone(),
            phase: failure.phase.map(|phase| phase.as_str().to_owned()),
            component: failure.component.as_ref().map(ToString::to_string),
            payload: failure.payload.clone(),
            diagnostics: failure.diagnostics.clone(),
            boot: true,
            ..Fields::default()
        };
        fields.report = report;
        fields.rollback = rollback.collect();
        fields.raise(py)
    }

    /// Has Python add its components with exact places, and plans them; none where that finds no fault.
    fn planned_again(
        &self,
        relocate: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Vec<component::Diagnostic>>> {
        relocate.call0()?;
        let components = std::mem::take(&mut self.state.lock().components);
        Ok(registry(&self.system, components).plan().err().map(|found| found.diagnostics))
    }
}

/// The edge of what starts after a component, however that ends.
fn after(component: &Descriptor) -> Need {
    let key = component.provides.first().cloned();
    let key = key.unwrap_or_else(|| component::Key::named(component.name.as_str()));
    let need = Need { kind: NeedKind::Optional, ..Need::one(key) };
    Need { named: Some(component.name.clone()), ..need }
}

/// The late needs of a component.
fn late(component: &Descriptor) -> impl Iterator<Item = &Need> {
    component.needs.iter().filter(|need| need.kind == NeedKind::Late)
}

/// Whether this exception is what the boot failed with.
fn is_payload(py: Python<'_>, failure: &BootFailure, error: &Py<PyAny>) -> bool {
    let raised = failure.payload.as_ref().and_then(|payload| payload.downcast_ref::<Raised>());
    raised.is_some_and(|raised| raised.0.bind(py).is(error))
}
