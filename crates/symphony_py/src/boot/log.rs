//! What the core and the extensions say, on its way to Python's `logging`: a bounded queue that any thread fills and one
//! Python thread (`symphony/_boot/log_lines.py`) empties.
//!
//! Invariants: whoever says something never waits, and never touches the interpreter; what waits is bounded in bytes, and
//! one who says much loses lines of its own and nobody else's.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use boot_orchestrator::{EventSink, Stamped};
use parking_lot::{Condvar, Mutex};
use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::door::enter::is_forked;
use crate::door::span::{deadline, limit};

/// How many records wait; the oldest give way.
const CAPACITY: usize = 4096;
/// How many bytes of one logger's records wait; its own oldest give way.
const BYTES: usize = 1024 * 1024;
/// And of all loggers'.
const ALL_BYTES: usize = 16 * 1024 * 1024;

/// How long the end of a system waits until its last records were handed on.
const PATIENCE: Duration = Duration::from_millis(250);

/// Level as `logging` counts, logger, text, and when it was said, in seconds since 1970.
type Line = (u8, String, String, f64);

/// What was said, and when. An event becomes a text on the thread that takes it: the one that tells it has a boot to run.
enum Said {
    Text(u8, String, String, SystemTime),
    Event(Stamped, SystemTime),
}

impl Said {
    fn line(self) -> Line {
        let (level, logger, text, at) = match self {
            Self::Text(level, logger, text, at) => (level, logger, text, at),
            Self::Event(stamped, at) => {
                let level = match stamped.event.level() {
                    boot_orchestrator::Level::Debug => 10,
                    boot_orchestrator::Level::Info => 20,
                    boot_orchestrator::Level::Warning => 30,
                    boot_orchestrator::Level::Error => 40,
                };
                (level, "symphony.boot".to_owned(), stamped.event.to_string(), at)
            }
        };
        (level, logger, text, at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
    }
}

/// What waits to be taken.
struct Lines {
    said: VecDeque<Said>,
    bytes: usize,
    /// What each logger has of it, where it has texts there.
    loggers: BTreeMap<String, Waiting>,
}

#[derive(Default)]
struct Waiting {
    bytes: usize,
    /// How many of its lines were lost since it was last told.
    lost: usize,
}

impl Lines {
    const fn new() -> Self {
        Self { said: VecDeque::new(), bytes: 0, loggers: BTreeMap::new() }
    }

    fn push(&mut self, said: Said) {
        if let Said::Text(_, logger, text, _) = &said {
            let weight = text.len();
            while self.loggers.get(logger).is_some_and(|own| own.bytes + weight > BYTES) {
                let its = |said: &Said| matches!(said, Said::Text(_, other, ..) if other == logger);
                let Some(oldest) = self.said.iter().position(its) else { break };
                self.lose(oldest);
            }
            while self.bytes + weight > ALL_BYTES && !self.said.is_empty() {
                self.lose(0);
            }
            self.bytes += weight;
            self.loggers.entry(logger.clone()).or_default().bytes += weight;
        }
        if self.said.len() >= CAPACITY {
            self.lose(0);
        }
        self.said.push_back(said);
    }

    fn lose(&mut self, place: usize) {
        let Some(Said::Text(_, logger, text, _)) = self.said.remove(place) else { return };
        self.bytes -= text.len();
        if let Some(own) = self.loggers.get_mut(&logger) {
            own.bytes -= text.len();
            own.lost += 1;
        }
    }

    /// Everything, with a word for each logger that lost lines where they would have been: before what is left of its
    /// own. What others said after them is not read before it.
    fn take(&mut self) -> VecDeque<Said> {
        let Self { said, mut loggers, .. } = std::mem::replace(self, Self::new());
        let mut told = VecDeque::with_capacity(said.len() + 1);
        for said in said {
            if let Said::Text(_, logger, _, at) = &said {
                let waiting = loggers.get_mut(logger);
                told.extend(waiting.and_then(|own| own.word(logger, *at)));
            }
            told.push_back(said);
        }
        for (logger, own) in &mut loggers {
            told.extend(own.word(logger, SystemTime::now()));
        }
        told
    }
}

impl Waiting {
    /// How many lines of this logger were lost, where some were; said once.
    fn word(&mut self, logger: &str, at: SystemTime) -> Option<Said> {
        let lost = std::mem::take(&mut self.lost);
        (lost > 0).then(|| {
            let text = format!("{lost} lines were lost: they came faster than they were logged");
            Said::Text(30, logger.to_owned(), text, at)
        })
    }
}

struct LogState {
    lines: Lines,
    followers: usize,
    /// Threads of followers that wait for a line: all of them, and everything was handed on.
    waiting: usize,
}

static STATE: Mutex<LogState> =
    Mutex::new(LogState { lines: Lines::new(), followers: 0, waiting: 0 });
static CHANGED: Condvar = Condvar::new();
/// A follower waits again. Apart from [`CHANGED`]: followers that woke each other would never rest.
static WAITS: Condvar = Condvar::new();
static INSTALL: Once = Once::new();

/// Takes events; spans are not used.
struct ToPython;

impl Subscriber for ToPython {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        *about.level() <= Level::INFO && about.is_event()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        // In a forked child the lock may be held by a thread that is not there.
        if is_forked() {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let about = event.metadata();
        let level = match *about.level() {
            Level::ERROR => 40,
            Level::WARN => 30,
            _ => 20,
        };
        let logger = match (about.target(), text.extension) {
            ("symphony.extension", Some(name)) => format!("symphony.extension.{name}"),
            (target, extension) => {
                if let Some(name) = extension {
                    // Nothing is lost where writing into a string cannot fail.
                    let _ = write!(text.fields, " extension={name}");
                }
                if target.starts_with("symphony.") {
                    target.to_owned()
                } else {
                    "symphony.core".to_owned()
                }
            }
        };
        say(|at| Said::Text(level, logger, text.message + &text.fields, at));
        CHANGED.notify_all();
    }
}

/// Leaves a line. Nobody is woken by that.
fn say(said: impl FnOnce(SystemTime) -> Said) {
    let mut state = STATE.lock();
    if state.followers == 0 {
        return;
    }
    state.lines.push(said(SystemTime::now()));
}

/// Boot events on their way to the logger `symphony.boot`.
pub(crate) struct BootLog {
    /// Whether somebody has imported `logging`: until then no thread is woken for an event, because a boot is busy.
    pub(crate) heard: bool,
}

impl EventSink for BootLog {
    fn event(&self, event: &Stamped) {
        if is_forked() {
            return;
        }
        say(|at| Said::Event(event.clone(), at));
        if self.heard {
            CHANGED.notify_all();
        }
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
    extension: Option<String>,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let into = match field.name() {
            "message" => &mut self.message,
            // The stream is told by the level and the logger's name.
            "stream" => return,
            name => {
                let _ = write!(self.fields, " {name}=");
                &mut self.fields
            }
        };
        let _ = write!(into, "{value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "extension" {
            self.extension = Some(value.to_owned());
        } else {
            self.record_debug(field, &format_args!("{value}"));
        }
    }
}

/// One system's share in the queue: while there is one, what is said is kept.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct LogFollower {
    closed: AtomicBool,
    ended: AtomicBool,
}

#[pymethods]
impl LogFollower {
    #[new]
    fn new() -> Self {
        INSTALL.call_once(|| {
            // A program that embeds the core may have one of its own: that one is told then.
            let _ = tracing::subscriber::set_global_default(ToPython);
        });
        STATE.lock().followers += 1;
        Self { closed: AtomicBool::new(false), ended: AtomicBool::new(false) }
    }

    /// Waits for lines: level, logger, text, seconds since 1970. An empty list when the seconds have passed without one;
    /// `None` when the system has ended.
    #[pyo3(signature = (timeout = None))]
    fn take(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Vec<Line>>> {
        let until = deadline(limit(py, "timeout", timeout)?);
        Ok(py.detach(|| {
            let mut state = STATE.lock();
            loop {
                if !state.lines.said.is_empty() {
                    let said = state.lines.take();
                    drop(state);
                    return Some(said.into_iter().map(Said::line).collect());
                }
                if self.closed.load(Ordering::Acquire) {
                    if !self.ended.load(Ordering::Acquire) {
                        state.followers -= 1;
                    }
                    return None;
                }
                state.waiting += 1;
                WAITS.notify_all();
                let over = if let Some(until) = until {
                    CHANGED.wait_until(&mut state, until).timed_out()
                } else {
                    CHANGED.wait(&mut state);
                    false
                };
                state.waiting -= 1;
                if over && state.lines.said.is_empty() {
                    return Some(Vec::new());
                }
            }
        }))
    }

    /// Waits a moment until what was said so far was handed on.
    fn settle(&self, py: Python<'_>) {
        if is_forked() || self.closed.load(Ordering::Acquire) {
            return;
        }
        py.detach(|| {
            let deadline = Instant::now() + PATIENCE;
            let mut state = STATE.lock();
            CHANGED.notify_all();
            while !state.lines.said.is_empty() || state.waiting < state.followers {
                if WAITS.wait_until(&mut state, deadline).timed_out() {
                    return;
                }
            }
        });
    }

    /// Says that the thread which takes has nothing more to do; it must not come back.
    fn drained(&self) {
        let _state = STATE.lock();
        self.ended.store(true, Ordering::Release);
        CHANGED.notify_all();
    }

    /// Ends it, and waits a moment until the last lines were handed on.
    fn close(&self, py: Python<'_>) {
        if is_forked() {
            return;
        }
        py.detach(|| {
            let deadline = Instant::now() + PATIENCE;
            let mut state = STATE.lock();
            self.closed.store(true, Ordering::Release);
            CHANGED.notify_all();
            while !self.ended.load(Ordering::Acquire) {
                if CHANGED.wait_until(&mut state, deadline).timed_out() {
                    return;
                }
            }
        });
    }
}
