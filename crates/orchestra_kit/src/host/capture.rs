//! The last lines that a guest wrote to its stderr.
//!
//! Filled by the thread that reads all captured pipes, read when a run has ended. Invariant: bounded, whatever the guest
//! writes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How many lines are kept for an error.
const LINES: usize = 20;
/// How long a kept line may be.
const LINE: usize = 2000;

#[derive(Default)]
struct Tail {
    lines: VecDeque<String>,
    ended: bool,
}

/// A ring of lines.
#[derive(Default)]
pub(super) struct Capture {
    tail: Mutex<Tail>,
    changed: Condvar,
}

impl Capture {
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
    pub(super) fn end(&self) {
        self.tail.lock().ended = true;
        self.changed.notify_all();
    }

    /// The lines so far.
    pub(super) fn lines(&self) -> Vec<String> {
        self.tail.lock().lines.iter().cloned().collect()
    }

    /// The lines, after waiting for the end of the pipe; a grandchild may hold it open, so not for long.
    pub(super) fn last_lines(&self, limit: Duration) -> Vec<String> {
        let deadline = Instant::now() + limit;
        let mut tail = self.tail.lock();
        while !tail.ended && !self.changed.wait_until(&mut tail, deadline).timed_out() {}
        tail.lines.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Capture, LINE};

    #[test]
    fn only_the_last_lines_are_kept_and_none_is_endless() {
        let capture = Capture::default();
        for number in 0..100 {
            capture.push(&format!("line {number}"));
        }
        capture.push(&"ä".repeat(LINE * 2));
        let lines = capture.lines();
        assert_eq!(lines.len(), 20);
        assert_eq!(lines[0], "line 81");
        assert_eq!(lines[19].chars().count(), LINE);
    }
}
