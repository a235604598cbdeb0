//! The one place where steps are begun, awaited, given up and abandoned.
//!
//! A step table belongs to one thread: the executor's, or the one that asks for health or shuts down. Outcomes come from any
//! thread through one channel. A step that was abandoned still has someone who waits for it: if it is a start and ends
//! well after all, the thread that says so has it stopped at once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use component::{Code, Component, ComponentName, Done, Failure, Health, Step};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, unbounded};

use crate::event::boot_event::{BootEvent, Events};
use crate::graph::plan::Plan;
use crate::run::step_outcome::{self, OutcomeClaim};

/// Two outcomes that come closer than this let the step table expect a third, for as long.
const LINGER: Duration = Duration::from_micros(50);

/// What comes through the channel of a step table.
pub(crate) enum Message {
    /// A step told its outcome.
    Outcome {
        component: u32,
        step: Step,
        flight: u64,
        result: Result<Health, Failure>,
        at: Instant,
    },
    /// Someone interrupted, or opened a latch.
    Wake,
}

/// What a step table's owner learns.
#[derive(Debug)]
pub(crate) enum Signal {
    /// A step ended.
    Ended(EndedStep),
    /// A step is past its deadline. It is still in flight, without a deadline now.
    Expired { component: u32, step: Step },
    /// Someone interrupted, or opened a latch.
    Woken,
    /// The moment that was asked for has come.
    Moment,
}

/// A step that ended.
#[derive(Debug)]
pub(crate) struct EndedStep {
    pub(crate) component: u32,
    pub(crate) step: Step,
    pub(crate) result: Result<Health, Failure>,
    pub(crate) begun: Instant,
    pub(crate) at: Instant,
}

/// What becomes of a step that is given up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then {
    /// Nobody waits for it any more.
    Abandon,
    /// It stays in flight, without a deadline for now.
    Keep,
    /// It stays in flight until this moment.
    Wait(Instant),
}

/// A step that was given up.
pub(crate) struct GivenUp {
    pub(crate) begun: Instant,
    /// Where it hangs, as far as its component knows.
    pub(crate) place: Option<String>,
}

struct Flight {
    serial: u64,
    begun: Instant,
    claim: Arc<OutcomeClaim>,
    panic: Option<String>,
}

/// Begins steps and hears of them.
pub(crate) struct StepTable {
    plan: Plan,
    events: Events,
    sender: Sender<Message>,
    receiver: Receiver<Message>,
    flights: HashMap<(u32, Step), Flight>,
    timers: BinaryHeap<Reverse<(Instant, u64, u32, Step)>>,
    serial: u64,
    /// When an outcome was told last, and how long after the one before.
    heard: Option<Instant>,
    pace: Option<Duration>,
}

impl StepTable {
    pub(crate) fn new(plan: Plan, events: Events) -> Self {
        let (sender, receiver) = unbounded();
        Self {
            plan,
            events,
            sender,
            receiver,
            flights: HashMap::new(),
            timers: BinaryHeap::new(),
            serial: 0,
            heard: None,
            pace: None,
        }
    }

    /// The channel's end for those that wake the step table.
    pub(crate) fn waker(&self) -> &Sender<Message> {
        &self.sender
    }

    /// Begins a step. Its outcome, or the passing of its deadline, comes out of [`StepTable::next`].
    pub(crate) fn begin(&mut self, number: u32, step: Step, deadline: Option<Instant>) {
        self.serial += 1;
        let (serial, begun) = (self.serial, Instant::now());
        let claim = Arc::new(OutcomeClaim::new());
        let planned = &self.plan.components()[number as usize];
        let component = Arc::clone(planned.component());
        let done = self.done(number, step, (&claim, begun), &component, planned.name().clone());
        self.flights.insert((number, step), Flight { serial, begun, claim, panic: None });
        if let Some(deadline) = deadline {
            self.timers.push(Reverse((deadline, serial, number, step)));
        }
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            component.begin(step, done);
        }));
        if let (Err(panic), Some(flight)) = (outcome, self.flights.get_mut(&(number, step))) {
            // The `Done` was dropped on the way out and has told that; this says why.
            flight.panic = Some(panic_text(&*panic));
        }
    }

    fn done(
        &self,
        number: u32,
        step: Step,
        (claim, begun): (&Arc<OutcomeClaim>, Instant),
        component: &Arc<dyn Component>,
        name: ComponentName,
    ) -> Done {
        let (flight, sender, events) = (self.serial, self.sender.clone(), self.events.clone());
        let (claim, component) = (Arc::clone(claim), Arc::clone(component));
        Done::new(move |result| {
            let at = Instant::now();
            let failure = result.as_ref().err().cloned();
            let told = claim.tell(|| {
                let _ =
                    sender.send(Message::Outcome { component: number, step, flight, result, at });
            });
            if told {
                return;
            }
            // Nobody waits for it any more, and it is told all the same: something may be lost by it.
            match (step, failure) {
                (Step::Start, None) => stop_late(&component, name, &events),
                (Step::Start, Some(failure)) => events.failed_late(name, &failure),
                (Step::Stop, Some(failure)) => {
                    let seconds = at.saturating_duration_since(begun).as_secs_f64();
                    let reason = Some(failure.line());
                    events.emit(BootEvent::StopFinished { component: name, seconds, reason });
                }
                (Step::Stop | Step::Health, _) => {}
            }
        })
    }

    /// Waits for what comes first, until a moment or for ever. What has ended goes before what has expired.
    pub(crate) fn next(&mut self, until: Option<Instant>) -> Signal {
        loop {
            while self.timers.peek().is_some_and(|Reverse((_, serial, component, step))| {
                self.flights.get(&(*component, *step)).is_none_or(|flight| flight.serial != *serial)
            }) {
                self.timers.pop();
            }
            let timer = self.timers.peek().map(|Reverse((at, ..))| *at);
            let limit = timer.into_iter().chain(until).min();
            let message = match (self.receiver.try_recv().or_else(|_| self.linger(limit)), limit) {
                (Ok(message), _) => Ok(message),
                (Err(_), Some(limit)) => self.receiver.recv_deadline(limit),
                (Err(_), None) => self.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match message {
                Ok(Message::Wake) => return Signal::Woken,
                Ok(Message::Outcome { component, step, flight, result, at }) => {
                    if let Some(ended) = self.landed(component, step, flight, result, at) {
                        return Signal::Ended(ended);
                    }
                }
                // The step table holds a sender itself, so that the channel cannot close under it.
                Err(_) if timer.is_some() && timer == limit => {
                    if let Some(Reverse((_, _, component, step))) = self.timers.pop() {
                        return Signal::Expired { component, step };
                    }
                }
                Err(_) => return Signal::Moment,
            }
        }
    }

    /// Looks again and again for a moment, where outcomes come back to back: to be put to sleep and woken for each would
    /// cost more than a construction, and the one who wakes pays for it.
    fn linger(&self, limit: Option<Instant>) -> Result<Message, TryRecvError> {
        let pressing = !self.flights.is_empty() && self.pace.is_some_and(|gap| gap < LINGER);
        let until = Instant::now() + LINGER;
        let until = limit.map_or(until, |limit| until.min(limit));
        while pressing && Instant::now() < until {
            std::thread::yield_now();
            if let Ok(message) = self.receiver.try_recv() {
                return Ok(message);
            }
        }
        Err(TryRecvError::Empty)
    }

    fn landed(
        &mut self,
        component: u32,
        step: Step,
        serial: u64,
        result: Result<Health, Failure>,
        at: Instant,
    ) -> Option<EndedStep> {
        let before = self.heard.replace(at);
        self.pace = before.map(|before| at.saturating_duration_since(before));
        let flight = self.flights.remove(&(component, step))?;
        if flight.serial != serial {
            self.flights.insert((component, step), flight);
            return None;
        }
        let result = result.map_err(|failure| match flight.panic {
            Some(text) => panicked(step, &text),
            None => failure,
        });
        Some(EndedStep { component, step, result, begun: flight.begun, at })
    }

    /// Tells a component that its step is given up, and asks what it knows of where the step hangs. None when the step
    /// has just ended: its outcome is in the channel then, and will come.
    pub(crate) fn give_up(&mut self, number: u32, step: Step, then: Then) -> Option<GivenUp> {
        let flight = self.flights.get(&(number, step))?;
        let (begun, serial) = (flight.begun, flight.serial);
        if flight.claim.told() {
            return None;
        }
        match then {
            Then::Abandon if !self.abandon(number, step) => return None,
            Then::Wait(deadline) => self.timers.push(Reverse((deadline, serial, number, step))),
            Then::Abandon | Then::Keep => {}
        }
        let planned = &self.plan.components()[number as usize];
        self.events.emit(BootEvent::StepGivenUp {
            component: planned.name().clone(),
            step,
            seconds: begun.elapsed().as_secs_f64(),
        });
        let component = planned.component();
        let place =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| component.give_up(step)))
                .unwrap_or_else(|panic| {
                    Some(format!("where it hangs is not known: {}", panic_text(&*panic)))
                });
        Some(GivenUp { begun, place })
    }

    /// Gives a step that is in flight another deadline.
    pub(crate) fn extend(&mut self, number: u32, step: Step, deadline: Instant) {
        if let Some(flight) = self.flights.get(&(number, step)) {
            self.timers.push(Reverse((deadline, flight.serial, number, step)));
        }
    }

    /// Waits for a step no longer. `false` when it has just ended: its outcome is in the channel then, and will come.
    pub(crate) fn abandon(&mut self, number: u32, step: Step) -> bool {
        let Some(flight) = self.flights.get(&(number, step)) else { return true };
        if !flight.claim.abandon() {
            return false;
        }
        self.flights.remove(&(number, step));
        true
    }

    /// The steps in flight, those begun first in front.
    pub(crate) fn in_flight(&self) -> Vec<(u32, Step, Instant)> {
        let mut flights: Vec<_> = self
            .flights
            .iter()
            .map(|((number, step), flight)| (flight.serial, *number, *step, flight.begun))
            .collect();
        flights.sort_unstable_by_key(|(serial, ..)| *serial);
        flights.into_iter().map(|(_, number, step, begun)| (number, step, begun)).collect()
    }
}

impl Drop for StepTable {
    /// Nobody listens any more: what ends from now on is dealt with where it ends.
    fn drop(&mut self) {
        let claims = self.flights.values().map(|flight| &*flight.claim);
        step_outcome::close(
            claims,
            || self.receiver.try_recv().ok(),
            |message| {
                if let Message::Outcome { component, step: Step::Start, result, .. } = message {
                    let planned = &self.plan.components()[component as usize];
                    let name = planned.name().clone();
                    match result {
                        Ok(_) => stop_late(planned.component(), name, &self.events),
                        Err(failure) => self.events.failed_late(name, &failure),
                    }
                }
            },
        );
    }
}

/// Stops what started after it was given up; whether that ends well changes nothing any more.
fn stop_late(component: &Arc<dyn Component>, name: ComponentName, events: &Events) {
    events.emit(BootEvent::StartedLate { component: name.clone() });
    let after = events.clone();
    let begun = Instant::now();
    let done = Done::new(move |result| {
        after.emit(BootEvent::StopFinished {
            component: name,
            seconds: begun.elapsed().as_secs_f64(),
            reason: result.err().map(|failure| failure.line()),
        });
    });
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        component.begin(Step::Stop, done);
    }));
    if let Err(panic) = stopped {
        let panic = panic_text(&*panic);
        tracing::error!(target: "symphony.boot", panic, "the stop of a late component panicked");
    }
}

/// The failure of a step that panicked.
pub(crate) fn panicked(step: Step, text: &str) -> Failure {
    let code = match step {
        Step::Start => Code::START_FAILED,
        Step::Health => Code::UNHEALTHY,
        Step::Stop => Code::STOP_FAILED,
    };
    Failure::new(code, format!("it panicked: {text}"))
}

/// What a panic says of itself.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
