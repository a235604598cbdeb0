//! Components that act out a script, on a stage that decides what ends when.
//!
//! Few steps of these sleep: one that is *staged* ends on the stage's thread when nothing else has happened for a moment, and
//! which of several ends first is a matter of the case's seed. So thousands of boots with every order of events take seconds.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use boot_orchestrator::Threads;
use component::{Code, Component, Done, Failure, Health, Step};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

/// What comes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Well,
    Degraded,
    Unhealthy,
    Fails,
    /// Fails in a transient way this often, then goes well.
    FailsTimes(usize),
    Panics,
    /// Loses its `Done`.
    Loses,
    /// Never ends.
    Hangs,
    /// Hangs, and goes well when it is given up: at once, in `give_up`.
    EndsInGiveUp,
    /// Hangs, and goes well some time after it was given up.
    EndsAfterGiveUp,
}

/// On which thread a step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// Where it is asked for.
    Here,
    /// On the stage's thread, in the stage's order.
    Staged,
    /// On a pool of threads, after so many microseconds.
    Pooled(u64),
}

/// A step's script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Act {
    pub(crate) outcome: Outcome,
    pub(crate) scene: Scene,
}

/// What was asked of a component and what it told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Begun(Step),
    /// Ended well: healthy or degraded.
    Usable(Step),
    /// Ended, and is not healthy.
    Ill(Step),
    Failed(Step),
    GivenUp(Step),
}

/// What happened, in order of time, by the components' numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script(Arc<Mutex<Vec<(usize, Entry)>>>);

impl Script {
    pub(crate) fn add(&self, who: usize, entry: Entry) {
        self.0.lock().expect("nobody panics with this lock").push((who, entry));
    }

    pub(crate) fn entries(&self) -> Vec<(usize, Entry)> {
        self.0.lock().expect("nobody panics with this lock").clone()
    }
}

type Item = Box<dyn FnOnce() + Send>;

/// Ends steps in an order of its own.
pub(crate) struct Stage {
    items: Sender<Option<Item>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Stage {
    pub(crate) fn new(seed: u64) -> Self {
        let (items, receiver) = unbounded();
        let thread = std::thread::spawn(move || play(&receiver, seed | 1));
        Self { items, thread: Some(thread) }
    }

    pub(crate) fn door(&self) -> Door {
        Door(self.items.clone())
    }
}

fn play(items: &Receiver<Option<Item>>, mut state: u64) {
    let mut pending: Vec<Item> = Vec::new();
    let mut open = true;
    while open || !pending.is_empty() {
        let next = if pending.is_empty() {
            items.recv().map_err(RecvTimeoutError::from)
        } else {
            items.recv_timeout(Duration::from_micros(20))
        };
        match next {
            Ok(Some(item)) => pending.push(item),
            Ok(None) => open = false,
            Err(_) => {
                // xorshift: any order will do that is the same for the same seed.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let next = usize::try_from(state >> 33).expect("31 bits") % pending.len();
                pending.swap_remove(next)();
            }
        }
    }
}

impl Drop for Stage {
    /// Waits for everything that was put on the stage.
    fn drop(&mut self) {
        // A stage whose thread is gone has panicked: that is told below.
        let _ = self.items.send(None);
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the stage panicked");
    }
}

/// The way onto a stage.
#[derive(Clone)]
pub(crate) struct Door(Sender<Option<Item>>);

impl Door {
    /// Puts something on the stage; after the stage's end it happens at once.
    pub(crate) fn put(&self, item: impl FnOnce() + Send + 'static) {
        if let Err(late) = self.0.send(Some(Box::new(item)))
            && let Some(item) = late.0
        {
            item();
        }
    }
}

/// A component that acts out its script.
pub(crate) struct Actor {
    pub(crate) number: usize,
    pub(crate) start: Act,
    pub(crate) health: Act,
    pub(crate) stop: Act,
    pub(crate) script: Script,
    pub(crate) door: Door,
    pub(crate) tries: Mutex<usize>,
    pub(crate) kept: Mutex<Vec<(Step, Done)>>,
}

/// What a failing step says.
pub(crate) const WHY: &str = "disk full";

fn failure() -> Failure {
    Failure::new(Code::START_FAILED, WHY).because("no space left")
}

fn tell(script: &Script, number: usize, step: Step, done: Done, outcome: Result<Health, Failure>) {
    // Written before it is told: what depends on it can only come later.
    let entry = match &outcome {
        Ok(Health::Unhealthy(_)) => Entry::Ill(step),
        Ok(_) => Entry::Usable(step),
        Err(_) => Entry::Failed(step),
    };
    script.add(number, entry);
    done.tell(outcome);
}

fn pool() -> &'static Threads {
    static POOL: OnceLock<Threads> = OnceLock::new();
    POOL.get_or_init(|| Threads::new("actor", 8))
}

impl Actor {
    fn act(&self, step: Step) -> Act {
        match step {
            Step::Start => self.start,
            Step::Health => self.health,
            Step::Stop => self.stop,
        }
    }

    fn ends(&self, step: Step, done: Done, outcome: Result<Health, Failure>) {
        let (script, number) = (self.script.clone(), self.number);
        let end = move || tell(&script, number, step, done, outcome);
        match self.act(step).scene {
            Scene::Here => end(),
            Scene::Staged => self.door.put(end),
            Scene::Pooled(pause) => {
                let _ = pool().run(move || {
                    std::thread::sleep(Duration::from_micros(pause));
                    end();
                });
            }
        }
    }
}

impl Component for Actor {
    fn begin(&self, step: Step, done: Done) {
        self.script.add(self.number, Entry::Begun(step));
        match self.act(step).outcome {
            Outcome::Well => self.ends(step, done, Ok(Health::Healthy)),
            Outcome::Degraded => self.ends(step, done, Ok(Health::Degraded(WHY.to_owned()))),
            Outcome::Unhealthy => self.ends(step, done, Ok(Health::Unhealthy(WHY.to_owned()))),
            Outcome::Fails => self.ends(step, done, Err(failure())),
            Outcome::FailsTimes(times) => {
                let mut tries = self.tries.lock().expect("nobody panics with this lock");
                *tries += 1;
                let mut failure = failure();
                failure.transient = true;
                // Only a start is tried again.
                let outcome = if *tries > times && step == Step::Start {
                    Ok(Health::Healthy)
                } else {
                    Err(failure)
                };
                self.ends(step, done, outcome);
            }
            Outcome::Panics => {
                self.script.add(self.number, Entry::Failed(step));
                // Without the hook: thousands of cases would print thousands of panics.
                std::panic::resume_unwind(Box::new(WHY));
            }
            Outcome::Loses => {
                self.script.add(self.number, Entry::Failed(step));
                match self.act(step).scene {
                    Scene::Here => drop(done),
                    Scene::Staged | Scene::Pooled(_) => self.door.put(move || drop(done)),
                }
            }
            Outcome::Hangs | Outcome::EndsInGiveUp | Outcome::EndsAfterGiveUp => {
                self.kept.lock().expect("nobody panics with this lock").push((step, done));
            }
        }
    }

    fn give_up(&self, step: Step) -> Option<String> {
        self.script.add(self.number, Entry::GivenUp(step));
        let mut kept = self.kept.lock().expect("nobody panics with this lock");
        let place = kept.iter().position(|(of, _)| *of == step);
        let late =
            matches!(self.act(step).outcome, Outcome::EndsInGiveUp | Outcome::EndsAfterGiveUp);
        if let Some(place) = place.filter(|_| late) {
            let (_, done) = kept.swap_remove(place);
            drop(kept);
            let (script, number) = (self.script.clone(), self.number);
            let end = move || tell(&script, number, step, done, Ok(Health::Healthy));
            match self.act(step).outcome {
                Outcome::EndsInGiveUp => end(),
                _ => self.door.put(end),
            }
        }
        Some("at its hanging point".to_owned())
    }
}
