//! How each component stands, readable while the boot runs: an injector asks here what is absent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::event::boot_event::Status;
use crate::graph::plan::Plan;

/// How a component stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Progress {
    /// It has not begun.
    Waiting,
    /// Its start runs.
    Starting,
    /// It works.
    Ready,
    /// It works with less than it should have.
    Degraded,
    /// It does not work; who can do without it goes on without it.
    Failed,
    /// It was stopped.
    Stopped,
    /// It will never begin.
    Skipped,
}

impl Progress {
    const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Starting,
        Self::Ready,
        Self::Degraded,
        Self::Failed,
        Self::Stopped,
        Self::Skipped,
    ];

    /// Whether others can be given it.
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded)
    }

    /// Whether its start will have no further outcome.
    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Waiting | Self::Starting)
    }

    /// The word of the report.
    pub const fn status(self) -> Status {
        match self {
            Self::Waiting | Self::Starting | Self::Skipped => Status::Skipped,
            Self::Ready => Status::Ready,
            Self::Degraded => Status::Degraded,
            Self::Failed => Status::Failed,
            Self::Stopped => Status::Stopped,
        }
    }
}

/// The progress of every component of a plan. Cheap to clone, readable from any thread.
#[derive(Clone)]
pub struct ProgressTable {
    plan: Plan,
    words: Arc<[AtomicU8]>,
}

impl ProgressTable {
    pub(crate) fn new(plan: Plan) -> Self {
        let words = plan.components().iter().map(|_| AtomicU8::new(0)).collect();
        Self { plan, words }
    }

    /// How the component of that name stands; none when there is none.
    pub fn of(&self, name: &str) -> Option<Progress> {
        self.plan.find(name).map(|number| self.at(number))
    }

    /// How the component of that number stands.
    pub fn at(&self, number: u32) -> Progress {
        Progress::ALL[usize::from(self.words[number as usize].load(Ordering::Acquire))]
    }

    pub(crate) fn set(&self, number: u32, progress: Progress) {
        self.words[number as usize].store(progress as u8, Ordering::Release);
    }
}
