//! Mock components with a script, a log of what was asked of them, and a watchdog.

#![allow(dead_code, reason = "each test file uses its own part of this")]

pub(crate) mod actor;
pub(crate) mod case;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use boot_orchestrator::{BootEvent, BootOptions, EventSink, Stamped};
use component::{
    Code, Component, Descriptor, Done, Failure, Health, Key, Location, Need, NeedKind, Phase, Step,
};
use proptest::prelude::{ProptestConfig, Strategy};
use proptest::test_runner::TestRunner;

/// What a mock does when it is asked for a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Well,
    Degraded,
    Unhealthy,
    Fails,
    /// Fails in a transient way the first time.
    FailsOnce,
    /// Takes this many milliseconds, on a thread of its own.
    Slow(u64),
    Hangs,
    Panics,
    /// Loses its `Done`.
    Loses,
}

/// What was asked of a mock and what it told, in order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Begun(Step),
    ToldWell(Step),
    ToldUsable(Step),
    ToldFailure(Step),
    GivenUp(Step),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<(String, Entry)>>>);

impl Log {
    pub(crate) fn add(&self, name: &str, entry: Entry) {
        self.0.lock().expect("no test panics with this lock").push((name.to_owned(), entry));
    }

    pub(crate) fn entries(&self) -> Vec<(String, Entry)> {
        self.0.lock().expect("no test panics with this lock").clone()
    }

    pub(crate) fn of(&self, name: &str) -> Vec<Entry> {
        self.entries().into_iter().filter(|(of, _)| of == name).map(|(_, entry)| entry).collect()
    }

    pub(crate) fn count(&self, name: &str, entry: Entry) -> usize {
        self.of(name).into_iter().filter(|one| *one == entry).count()
    }

    /// The names whose stops began, in order.
    pub(crate) fn stops(&self) -> Vec<String> {
        let stopped = |(name, entry)| (entry == Entry::Begun(Step::Stop)).then_some(name);
        self.entries().into_iter().filter_map(stopped).collect()
    }
}

pub(crate) struct Mock {
    pub(crate) name: String,
    pub(crate) start: Act,
    pub(crate) health: Act,
    pub(crate) stop: Act,
    pub(crate) place: Option<&'static str>,
    pub(crate) log: Log,
    failed_once: Mutex<bool>,
    kept: Mutex<Vec<Done>>,
}

impl Mock {
    pub(crate) fn new(name: &str, log: &Log) -> Self {
        Self {
            name: name.to_owned(),
            start: Act::Well,
            health: Act::Well,
            stop: Act::Well,
            place: None,
            log: log.clone(),
            failed_once: Mutex::new(false),
            kept: Mutex::default(),
        }
    }

    fn tell(log: &Log, name: &str, step: Step, done: Done, outcome: Result<Health, Failure>) {
        // Logged before it is told: what depends on it can only come later.
        let entry = match &outcome {
            Ok(Health::Unhealthy(_)) => Entry::ToldWell(step),
            Ok(_) => {
                log.add(name, Entry::ToldWell(step));
                Entry::ToldUsable(step)
            }
            Err(_) => Entry::ToldFailure(step),
        };
        log.add(name, entry);
        done.tell(outcome);
    }
}

impl Component for Mock {
    fn begin(&self, step: Step, done: Done) {
        self.log.add(&self.name, Entry::Begun(step));
        let act = match step {
            Step::Start => self.start,
            Step::Health => self.health,
            Step::Stop => self.stop,
        };
        let failure = || Failure::new(Code::START_FAILED, "disk full").because("no space left");
        let outcome = match act {
            Act::Well => Ok(Health::Healthy),
            Act::Degraded => Ok(Health::Degraded("half of it is missing".to_owned())),
            Act::Unhealthy => Ok(Health::Unhealthy("no answer from itself".to_owned())),
            Act::Fails => Err(failure()),
            Act::FailsOnce => {
                let mut failed = self.failed_once.lock().expect("no test panics with this lock");
                if *failed {
                    Ok(Health::Healthy)
                } else {
                    *failed = true;
                    let mut failure = failure();
                    failure.transient = true;
                    Err(failure)
                }
            }
            Act::Slow(milliseconds) => {
                let (log, name) = (self.log.clone(), self.name.clone());
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(milliseconds));
                    Self::tell(&log, &name, step, done, Ok(Health::Healthy));
                });
                return;
            }
            Act::Hangs => {
                return self.kept.lock().expect("no test panics with this lock").push(done);
            }
            Act::Panics => {
                self.log.add(&self.name, Entry::ToldFailure(step));
                std::panic::resume_unwind(Box::new("the mock was told to panic"));
            }
            Act::Loses => {
                self.log.add(&self.name, Entry::ToldFailure(step));
                return;
            }
        };
        Self::tell(&self.log, &self.name, step, done, outcome);
    }

    fn give_up(&self, step: Step) -> Option<String> {
        self.log.add(&self.name, Entry::GivenUp(step));
        self.place.map(str::to_owned)
    }
}

/// A need of the key that `mock` provides.
pub(crate) fn need(name: &str, kind: NeedKind) -> Need {
    Need { kind, ..Need::one(Key::named(name)) }
}

/// A need that a person wrote, in `app/<consumer>.py`.
pub(crate) fn written(name: &str, consumer: &str, line: u32) -> Need {
    let location = Location::new(format!("/w/app/{}.py", consumer.to_lowercase()), line, 5);
    Need {
        parameter: Some(name.to_lowercase().into()),
        location: Some(location),
        ..Need::one(Key::named(name))
    }
}

/// A component that provides the key of its name.
pub(crate) fn descriptor(name: &str, phase: Phase) -> Descriptor {
    Descriptor::new(name, phase).provides(Key::named(name))
}

/// Keeps every event.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<Stamped>>>);

impl Seen {
    pub(crate) fn events(&self) -> Vec<BootEvent> {
        self.0
            .lock()
            .expect("no test panics with this lock")
            .iter()
            .map(|stamped| stamped.event.clone())
            .collect()
    }

    /// The events as people read them, with every duration as `T`.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<String> =
            self.events().iter().map(|event| timeless(&event.to_string())).collect();
        lines.join("\n")
    }

    pub(crate) fn sink(&self) -> Arc<dyn EventSink> {
        Arc::new(self.clone())
    }
}

impl EventSink for Seen {
    fn event(&self, event: &Stamped) {
        self.0.lock().expect("no test panics with this lock").push(event.clone());
    }
}

/// A text with every duration as `T`.
pub(crate) fn timeless(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            let mut words: Vec<String> = Vec::new();
            for word in line.split(' ') {
                let unit = word.trim_end_matches([',', ':', ';', ')']);
                let number = words.last().is_some_and(|word| word.parse::<f64>().is_ok());
                if number && ["µs", "ms", "s"].contains(&unit) {
                    words.pop();
                    words.push(format!("T{}", &word[unit.len()..]));
                } else {
                    words.push(word.to_owned());
                }
            }
            words.join(" ")
        })
        .collect();
    lines.join("\n")
}

/// Options whose deadlines no healthy step comes near, and whose rollback does not wait long for a hanging one.
pub(crate) fn options(seen: &Seen) -> BootOptions {
    BootOptions {
        system: "test".into(),
        grace: Duration::from_millis(20),
        stop_deadline: Duration::from_millis(60),
        sinks: vec![seen.sink()],
        ..BootOptions::default()
    }
}

/// Runs the body on another thread; panics when it takes longer than this.
pub(crate) fn watched<T: Send + 'static>(
    seconds: u64,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _ = sender.send(body());
    });
    match receiver.recv_timeout(Duration::from_secs(seconds)) {
        Ok(value) => value,
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("hangs for {seconds} s"),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => panic!("ended without a result"),
        },
    }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !so() {
        assert!(Instant::now() < end, "it is never so: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs random cases, side by side on this many threads (most of a boot's time is waiting). `SYMPHONY_CASES` says how many
/// in all, for `make soak`.
#[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
pub(crate) fn cases<S: Strategy>(
    count: u32,
    threads: u32,
    strategy: impl Fn() -> S + Sync,
    one: impl Fn(S::Value) + Sync,
) {
    let asked = std::env::var("SYMPHONY_CASES").ok();
    let count = asked.map_or(count, |asked| asked.parse().expect("SYMPHONY_CASES is a number"));
    let run = || {
        let config = ProptestConfig {
            cases: count.div_ceil(threads),
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let result = TestRunner::new(config).run(&strategy(), |case| {
            one(case);
            Ok(())
        });
        result.map_err(|error| error.to_string())
    };
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        for run in runs {
            if let Err(failed) = run.join().expect("the runner catches panics") {
                panic!("{failed}");
            }
        }
    });
}
