//! The last lines that a guest wrote to its stderr.
//!
//! Filled by the thread that reads all captured pipes, read when a run has ended. Invariant: bounded, whatever the guest
//! writes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::extension::Timer;

/// How many lines are kept for an error.
const LINES: usize = 20;
/// How long a kept line may be.
const LINE: usize = 2000;

type Then = Box<dyn FnOnce(Vec<String>) + Send>;

#[derive(Default)]
struct Tail {
    lines: VecDeque<String>,
    ended: bool,
    then: Option<Then>,
}

/// A ring of lines.
pub(super) struct Capture {
    tail: Mutex<Tail>,
    timer: Arc<Timer>,
}

impl Capture {
    pub(super) fn new(timer: Arc<Timer>) -> Arc<Self> {
        Arc::new(Self { tail: Mutex::default(), timer })
    }

    /// Keeps one more line.
    pub(super) fn push(&self, line: &str) {
        let end = line.char_indices().nth(LINE).map_or(line.len(), |(end, _)| end);
        let mut tail = self.tail.lock();
        if tail.lines.len() == LINES {
            tail.lines.pop_front();
        }
        tail.lines.push_back(line[..end].to_owned());
    }

    /// Nothing more will come.
    pub(super) fn end(self: &Arc<Self>) {
        self.tail.lock().ended = true;
        // Not on this thread, which reads for everybody.
        let me = Arc::clone(self);
        self.timer.after(Duration::ZERO, move || me.tell());
    }

    fn tell(&self) {
        let then = self.tail.lock().then.take();
        if let Some(then) = then {
            then(self.lines());
        }
    }

    /// The lines so far.
    pub(super) fn lines(&self) -> Vec<String> {
        self.tail.lock().lines.iter().cloned().collect()
    }

    /// Calls `then` with the last lines once the pipe has ended, or after `limit`: a grandchild may hold it open.
    pub(super) fn when_ended(self: &Arc<Self>, limit: Duration, then: Then) {
        let ended = {
            let mut tail = self.tail.lock();
            tail.then = Some(then);
            tail.ended
        };
        if ended {
            return self.tell();
        }
        let me = Arc::clone(self);
        self.timer.after(limit, move || me.tell());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::{Capture, LINE};
    use crate::extension::Timer;

    #[test]
    fn only_the_last_lines_are_kept_and_none_is_endless() {
        let capture = Capture::new(Timer::start().unwrap());
        for number in 0..100 {
            capture.push(&format!("line {number}"));
        }
        capture.push(&"ä".repeat(LINE * 2));
        let lines = capture.lines();
        assert_eq!(lines.len(), 20);
        assert_eq!(lines[0], "line 81");
        assert_eq!(lines[19].chars().count(), LINE);
    }

    #[test]
    fn the_last_lines_come_at_the_end_of_the_pipe_or_after_the_limit() {
        for ends in [true, false] {
            let capture = Capture::new(Timer::start().unwrap());
            let (tell, told) = mpsc::channel();
            let limit = if ends { Duration::from_secs(1000) } else { Duration::from_millis(20) };
            capture.when_ended(limit, Box::new(move |lines| tell.send(lines).unwrap()));
            capture.push("its last words");
            if ends {
                capture.end();
            }
            let lines = told.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(lines, ["its last words"], "ends: {ends}");
        }
    }
}
