//! Writes down what starts in a boot, of what a later one could leave out.
//!
//! A sink of the boot's events. Invariant: a boot counts as failed from the instant at which its state is its own until it
//! says otherwise; an interruption, and what says something of the machine alone, is no failure.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use component::{ComponentGraph as _, ComponentName, Phase};
use parking_lot::Mutex;

use super::boot_record::{Line, Suspect};
use crate::run::cut_short::NOT_ASKED_TO_THE_END;
use crate::system::own::Own;
use crate::system::parts::Parts;
use crate::{BootEvent, EventSink, Interruption, Plan, Stamped, Status};

/// What becomes of one that may be left out.
struct Watched {
    suspect: Suspect,
    /// Whether the boot fails with it.
    required: bool,
}

/// Writes down what starts, of what the next boot could leave out.
pub(in crate::system) struct Watch {
    parts: Arc<Parts>,
    watched: HashMap<ComponentName, Watched>,
    interruption: Interruption,
    /// What the last of them failed with.
    error: Mutex<Option<String>>,
}

impl Watch {
    /// A sink for the boot of that plan.
    pub(in crate::system) fn new(
        parts: &Arc<Parts>,
        plan: &Plan,
        is_extension: impl Fn(&str) -> bool,
        interruption: &Interruption,
    ) -> Self {
        let mut watched = HashMap::new();
        for (planned, number) in plan.components().iter().zip(0..) {
            let (name, descriptor) = (planned.name(), planned.descriptor());
            let extension = descriptor.phase == Phase::OrchestraKit && is_extension(name.as_str());
            let dispensable = || {
                let own = Own::named(name.as_str()).is_some();
                !own && !plan.is_needed(number)
            };
            if extension || dispensable() {
                let file = descriptor.location.as_ref().filter(|_| !extension);
                let file = file.map(|at| Path::new(&*at.file).to_owned());
                let suspect = Suspect { name: name.to_string(), file };
                watched.insert(name.clone(), Watched { suspect, required: descriptor.required });
            }
        }
        let (parts, interruption) = (Arc::clone(parts), interruption.clone());
        Self { parts, watched, interruption, error: Mutex::new(None) }
    }

    /// `late`: also one that the boot could have gone on without, which had the boot itself for its deadline.
    fn settled(&self, name: &ComponentName, failed: bool, late: bool, reason: Option<&str>) {
        let Some(one) = self.watched.get(name) else { return };
        let line = if failed && (late || one.required) && !self.is_excused(name) {
            if !late {
                *self.error.lock() = reason.and_then(|text| text.lines().next()).map(str::to_owned);
            }
            Line::Failing(one.suspect.clone())
        } else {
            Line::Settled(one.suspect.name.clone())
        };
        self.tell(&line);
    }

    fn is_excused(&self, name: &ComponentName) -> bool {
        self.parts.record.as_ref().is_some_and(|record| record.is_excused(name.as_str()))
    }

    fn tell(&self, line: &Line) {
        if let Some(record) = &self.parts.record {
            record.tell(line);
        }
    }
}

impl EventSink for Watch {
    fn event(&self, event: &Stamped) {
        match &event.event {
            BootEvent::ComponentStarted { component, .. } => {
                if let Some(one) = self.watched.get(component) {
                    self.tell(&Line::Starting(one.suspect.clone()));
                }
            }
            // One that is given up because the boot fails is what was starting, not what failed.
            BootEvent::ComponentFinished { component, status, reason, late, .. }
                if *status != Status::Stopped =>
            {
                self.settled(component, *status == Status::Failed, *late, reason.as_deref());
            }
            BootEvent::HealthFinished { component, health: "unhealthy", reason, .. }
                if reason.as_deref() != Some(NOT_ASKED_TO_THE_END) =>
            {
                self.settled(component, true, false, reason.as_deref());
            }
            BootEvent::RollbackStarted { reason } => {
                let line = if self.interruption.is_wanted() {
                    Line::Interrupted
                } else {
                    Line::failed(self.error.lock().as_deref().unwrap_or(reason))
                };
                if let Some(record) = &self.parts.record {
                    record.end(&line);
                }
            }
            BootEvent::BootFinished { status: Status::Ready | Status::Degraded, .. } => {
                if let Some(record) = &self.parts.record {
                    record.clear();
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use component::{Code, Component, Descriptor, Done, Failure, Health, Key, Need, Phase, Step};
    use orchestra_kit::Catalogue;
    use orchestra_kit::manifest::SafeMode;
    use orchestra_kit::supervisor::Environment;
    use parking_lot::Mutex;

    use super::super::boot_record::{BootHistory, Last};
    use super::super::left_out::open;
    use super::Watch;
    use crate::system::parts::Parts;
    use crate::system::state_folder::StateFolder;
    use crate::{Blocking, Boot, BootEvent, BootOptions, Registry, Stamped, Threads};

    /// What a component does in its start: its name, whether it is required, and how it ends; none: it hangs for a second.
    type Script = (&'static str, bool, Option<Result<Health, &'static str>>);

    /// What ends when it is given up, with an error of its own.
    #[derive(Default)]
    struct Yields(Mutex<Option<Done>>);

    impl Component for Yields {
        fn begin(&self, _step: Step, done: Done) {
            *self.0.lock() = Some(done);
        }

        fn give_up(&self, _step: Step) -> Option<String> {
            let done = self.0.lock().take()?;
            done.tell(Err(Failure::new(Code::START_FAILED, "my own cleanup failed")));
            None
        }
    }

    /// A boot of these, of which those that begin with `e` are extensions; what it fails with, and what is then suspected.
    fn failed(
        folder: &Path,
        scripts: Vec<Script>,
        change: impl FnOnce(&Parts, &mut BootOptions),
    ) -> (Option<String>, Vec<String>) {
        let state = StateFolder::new(Some(folder.to_owned()), &Environment::default());
        let (_, record) = open(Some(&state), SafeMode::Auto, &[], &mut Catalogue::default());
        let parts = Arc::new(Parts::new(state, record, None, Instant::now()));
        let threads = Threads::new("test-start", 4);
        let mut registry = Registry::new();
        for (name, required, end) in scripts {
            let phase = match name {
                "conductor" => Phase::Conductor,
                _ => Phase::OrchestraKit,
            };
            let mut descriptor = Descriptor::new(name, phase).provides(Key::named(name));
            descriptor.required = required;
            if name == "user" {
                descriptor = descriptor.needs(Need::one(Key::named("needed")));
            }
            let start = move || {
                let Some(end) = end.clone() else {
                    std::thread::sleep(Duration::from_secs(1));
                    return Ok(Health::Healthy);
                };
                end.map_err(|why| Failure::new(Code::START_FAILED, why))
            };
            if name == "e-yields" {
                registry.add(descriptor, Arc::new(Yields::default()));
            } else {
                registry.add(descriptor, Arc::new(Blocking::new(&threads, start)));
            }
        }
        let plan = registry.plan().unwrap();
        let mut options = BootOptions::default();
        change(&parts, &mut options);
        let extension = |name: &str| name.starts_with('e');
        options.sinks.push(Arc::new(Watch::new(&parts, &plan, extension, &options.interruption)));
        parts.record.as_ref().unwrap().begin();
        let error = Boot::new(plan, options).run().err().map(|failure| failure.message);
        let mut history = BootHistory::read(folder, Last::Always);
        let suspects = history.failed.pop().map(|boot| boot.suspects).unwrap_or_default();
        (error, suspects.into_iter().map(|one| one.name).collect())
    }

    const GOOD: Option<Result<Health, &str>> = Some(Ok(Health::Healthy));
    const BAD: Option<Result<Health, &str>> = Some(Err("no"));

    fn suspected(
        scripts: Vec<Script>,
        change: impl FnOnce(&Parts, &mut BootOptions),
    ) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let (error, names) = failed(folder.path(), scripts, change);
        assert!(error.is_some(), "it was to fail");
        names
    }

    fn late(_: &Parts, options: &mut BootOptions) {
        options.deadline = Duration::from_millis(100);
    }

    #[test]
    fn what_the_boot_fails_with_is_suspected_and_what_only_starts_beside_it_is_not() {
        let scripts = vec![("e-good", true, GOOD), ("e-slow", true, None), ("e-bad", true, BAD)];
        assert_eq!(suspected(scripts, |_, _| {}), ["e-bad"]);
    }

    #[test]
    fn what_the_boot_needs_is_never_suspected_nor_is_it_a_boot_that_counts() {
        let with = |name| vec![("e-good", true, GOOD), (name, true, BAD)];
        assert!(suspected(with("conductor"), |_, _| {}).is_empty());
        assert!(suspected(with("component"), |_, _| {}).is_empty());
        let needed = |end| vec![("needed", false, end), ("user", true, GOOD)];
        assert!(suspected(needed(BAD), |_, _| {}).is_empty());
        assert!(suspected(needed(None), late).is_empty());
    }

    #[test]
    fn what_the_boot_waits_for_until_its_deadline_is_suspected_required_or_not() {
        for required in [true, false] {
            let scripts = vec![("e-good", true, GOOD), ("e-slow", required, None)];
            assert_eq!(suspected(scripts, late), ["e-slow"], "required: {required}");
        }
    }

    #[test]
    fn one_that_is_late_says_what_it_ended_with_and_is_suspected_whatever_it_says() {
        for required in [true, false] {
            let said = Arc::new(Mutex::new(Vec::new()));
            let listens = |parts: &Parts, options: &mut BootOptions| {
                let heard = Arc::clone(&said);
                options.sinks.push(Arc::new(move |event: &Stamped| {
                    if let BootEvent::ComponentFinished { reason, late, .. } = &event.event {
                        heard.lock().push((reason.clone(), *late));
                    }
                }));
                late(parts, options);
            };
            assert_eq!(suspected(vec![("e-yields", required, None)], listens), ["e-yields"]);
            let why = "it was not done in time, and ended with: my own cleanup failed";
            assert_eq!(*said.lock(), [(Some(why.to_owned()), true)], "required: {required}");
        }
    }

    #[test]
    fn an_interruption_and_a_shortage_are_nobodys_fault() {
        let interrupted = |_: &Parts, options: &mut BootOptions| {
            let interruption = options.interruption.clone();
            options.sinks.push(Arc::new(move |event: &Stamped| {
                if matches!(event.event, BootEvent::ComponentStarted { .. }) {
                    interruption.interrupt("Ctrl-C");
                }
            }));
        };
        assert!(suspected(vec![("e-slow", true, None)], interrupted).is_empty());
        let short = |parts: &Parts, _: &mut BootOptions| {
            parts.record.as_ref().unwrap().excuse("e-bad");
        };
        assert!(suspected(vec![("e-bad", true, BAD)], short).is_empty());
    }

    #[test]
    fn an_error_of_any_length_leaves_a_record_that_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let line: &str = "é".repeat(1 << 17).leak();
        for _ in 0..6 {
            let (error, suspects) =
                failed(folder.path(), vec![("e-bad", true, Some(Err(line)))], |_, _| {});
            assert!(error.is_some());
            assert_eq!(suspects, ["e-bad"]);
        }
        let failed = BootHistory::read(folder.path(), Last::Always).failed;
        assert_eq!(failed.len(), 6);
        let told = failed[0].error.as_deref().unwrap();
        assert!(told.ends_with("é…") && told.chars().count() < 400, "{told}");
    }

    #[test]
    fn what_the_boot_goes_on_without_leaves_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let scripts = vec![("e-bad", false, BAD), ("e-good", true, GOOD)];
        assert_eq!(failed(folder.path(), scripts, |_, _| {}), (None, Vec::new()));
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
    }
}
