//! How long each phase of a boot takes, a whole boot, its rollback and its shutdown.
//!
//! Every measurement is of whole boots of a real [`System`]: a manifest, a state folder of its own that is new each time,
//! all five members of the Pit, no extensions. The time of one phase is that of the boot's own report, its gate included; what
//! comes before and after is not counted.
//!
//! - `phase/foundation`: the state folder is made and locked, and the supervisor is waited for. Its process is started before
//!   the manifests are read, and is this program itself: an interpreter takes longer to come up (`side_by_side.py`).
//! - `phase/ipc_bus`: the bus and its reading thread.
//! - `phase/pit`: five members in waves, whose files are made new, and the Pit as a whole.
//! - `phase/orchestra_kit`: the kit, both hosts and the engine of Melodies.
//! - `phase/conductor`: fifty components that do nothing, with needs among them: what the engine itself costs.
//! - `boot/whole`: from before the supervisor is started to ready; manifests and plan are part of it.
//! - `boot/rollback`: one more component fails after all others started; from the failure until nothing is left.
//! - `boot/shutdown`: everything stopped in reverse, and what the components made let go of.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boot_orchestrator::system::{System, SystemOptions};
use boot_orchestrator::{Boot, BootFailure, Immediate, Registry, Running};
use component::{Code, Component, ComponentName, Descriptor, Failure, Health, Key, Need, Phase};
use criterion::{Criterion, SamplingMode};
use orchestra_kit::supervisor::{Order, RESOLVER, Server};
use tempfile::TempDir;

/// The argument with which this program becomes a supervisor.
const SUPERVISOR: &str = "become-the-supervisor";

/// Components of phase `conductor`.
const COMPONENTS: usize = 50;

type Fault = Box<dyn std::error::Error>;

/// What stays the same from boot to boot.
struct Project {
    folder: TempDir,
    manifest: PathBuf,
    program: String,
}

impl Project {
    fn new() -> Result<Self, Fault> {
        let folder = tempfile::tempdir()?;
        let manifest = folder.path().join("Symphony.toml");
        std::fs::write(&manifest, "[system]\nname = \"benchmark\"\n")?;
        let program = std::env::current_exe()?.into_os_string();
        let program = program.into_string().map_err(|path| format!("{}", path.display()))?;
        Ok(Self { folder, manifest, program })
    }

    /// Boots a new system, gives it to `measure`, and takes down what is left of it.
    fn boot(&self, fails: bool, measure: impl FnOnce(Booted) -> Duration) -> Duration {
        let state = tempfile::tempdir_in(self.folder.path()).expect("a folder for the state");
        let options = SystemOptions {
            manifest: Some(self.manifest.clone()),
            state: Some(state.path().to_owned()),
            supervisor: vec![self.program.clone(), SUPERVISOR.to_owned()],
            ..SystemOptions::default()
        };
        let called = Instant::now();
        let system = System::open(options, None).expect("the manifest is in order");
        let mut registry = Registry::new();
        system.register(&mut registry);
        nothing(&mut registry);
        if fails {
            failing(&mut registry);
        }
        let plan = registry.plan().expect("a lawful graph");
        let mut options = system.boot_options();
        options.called = Some(called);
        let outcome = Boot::new(plan, options).run();
        let took = called.elapsed();
        let measured = measure(Booted { system: &system, outcome: &outcome, took });
        if let Ok(running) = &outcome {
            let down = running.shutdown(Duration::from_secs(3));
            assert!(down.errors.is_empty(), "{:?}", down.errors);
        }
        system.close();
        measured
    }
}

/// A boot that ended.
struct Booted<'a> {
    system: &'a System,
    outcome: &'a Result<Running, Box<BootFailure>>,
    took: Duration,
}

impl Booted<'_> {
    fn running(&self) -> &Running {
        self.outcome.as_ref().unwrap_or_else(|failure| panic!("{}", failure.text()))
    }

    fn phase(&self, phase: Phase) -> Duration {
        let report = self.running().report();
        let one = report.phases.iter().find(|one| one.name == phase).expect("every phase is told");
        component::span(one.seconds).expect("a report has spans")
    }

    fn rollback(&self) -> Duration {
        let failure = self.outcome.as_ref().err().expect("a component failed");
        assert_eq!(failure.component.as_ref().map(ComponentName::as_str), Some(FAILS), "{failure}");
        assert!(failure.rollback_errors.is_empty(), "{:?}", failure.rollback_errors);
        let mut spans = failure.report.spans.iter();
        let span = spans.find(|span| span.name == "rollback").expect("the rollback is told");
        component::span(span.seconds).expect("a report has spans")
    }

    fn shutdown(&self) -> Duration {
        let running = self.running();
        let begun = Instant::now();
        running.shutdown(Duration::from_secs(3));
        self.system.close();
        begun.elapsed()
    }
}

/// What of a boot is measured.
type Measure = fn(Booted) -> Duration;

/// The component that fails a boot.
const FAILS: &str = "fails";

fn name(place: usize) -> String {
    format!("component-{place}")
}

fn component(name: &str, needs: impl IntoIterator<Item = String>) -> Descriptor {
    let one = Descriptor::new(name, Phase::Conductor).provides(Key::named(name));
    needs.into_iter().fold(one, |one, need| one.needs(Need::one(Key::named(need))))
}

/// Components that do nothing, each with two needs among those before it.
fn nothing(registry: &mut Registry) {
    for place in 0..COMPONENTS {
        let needs = [1, 7].into_iter().filter_map(|step| place.checked_sub(step)).map(name);
        let steps: Arc<dyn Component> = Arc::new(Immediate::new(|| Ok(Health::Healthy)));
        registry.add(component(&name(place), needs), steps);
    }
}

/// One that fails once the last of the others has started.
fn failing(registry: &mut Registry) {
    let steps = Immediate::new(|| Err(Failure::new(Code::START_FAILED, "on purpose")));
    registry.add(component(FAILS, [name(COMPONENTS - 1)]), Arc::new(steps));
}

fn phases(criterion: &mut Criterion, project: &Project) {
    let mut group = criterion.benchmark_group("phase");
    group.sampling_mode(SamplingMode::Flat);
    for phase in Phase::ALL {
        group.bench_function(phase.as_str(), |bencher| {
            bencher.iter_custom(|count| {
                (0..count).map(|_| project.boot(false, |booted| booted.phase(phase))).sum()
            });
        });
    }
    group.finish();
}

fn boots(criterion: &mut Criterion, project: &Project) {
    let kinds: [(&str, bool, Measure); 3] = [
        ("whole", false, |booted| {
            booted.running();
            booted.took
        }),
        ("rollback", true, |booted| booted.rollback()),
        ("shutdown", false, |booted| booted.shutdown()),
    ];
    let mut group = criterion.benchmark_group("boot");
    group.sampling_mode(SamplingMode::Flat);
    for (kind, fails, measure) in kinds {
        group.bench_function(kind, |bencher| {
            bencher.iter_custom(|count| (0..count).map(|_| project.boot(fails, measure)).sum());
        });
    }
    group.finish();
}

/// A supervisor that has nothing to start: there are no extensions.
fn supervisor() -> Result<(), Fault> {
    let mut server = Server::inherited()?;
    server.up(Vec::new())?;
    loop {
        match server.next_order()? {
            Order::Exit => return Ok(()),
            Order::Fork(start) | Order::Exec(start) => {
                server.not_started(start.request.id, "a benchmark starts no extension")?;
            }
            Order::Resolver(_) => server.not_started(RESOLVER, "a benchmark lists no hosts")?,
        }
    }
}

fn main() -> Result<(), Fault> {
    if std::env::args().nth(1).is_some_and(|argument| argument == SUPERVISOR) {
        return supervisor();
    }
    let project = Project::new()?;
    let mut criterion = Criterion::default().configure_from_args();
    phases(&mut criterion, &project);
    boots(&mut criterion, &project);
    criterion.final_summary();
    Ok(())
}
