//! The end of a phase that fails: every step in flight gets its finish in the events, so that they stay pairs.
//!
//! What becomes of the steps themselves is the rollback's.

use std::time::Instant;

use component::{Health, Step};

use crate::event::boot_event::BootEvent;
use crate::event::text::ended_with;
use crate::graph::edges::index;
use crate::run::executor::Run;
use crate::run::health;
use crate::run::progress::Progress;
use crate::run::step_table::{EndedStep, Signal};

/// Why a start failed that the deadline of its phase, or of the boot, cut short.
const NOT_IN_TIME: &str = "it was not done in time";
/// Why a component counts as unhealthy that was being asked when its boot failed for another reason, or was late.
pub(crate) const NOT_ASKED_TO_THE_END: &str = "it gave no answer before the boot failed";

impl Run {
    /// Tells of each step in flight how it ended, or that it was cut short.
    pub(crate) fn cut_short(&mut self) {
        let now = Instant::now();
        // What has ended already is told as it is.
        loop {
            match self.steps.next(Some(now)) {
                Signal::Ended(ended) if ended.step == Step::Start => self.ended_anyway(ended),
                Signal::Ended(ended) if ended.step == Step::Health => {
                    self.health_told(ended);
                }
                Signal::Ended(_) | Signal::Expired { .. } | Signal::Woken => {}
                Signal::Moment => break,
            }
        }
        for (number, step, begun) in self.steps.in_flight() {
            if step == Step::Health {
                // A step that ends at this very moment counts as given up: nobody waits for it any more.
                self.steps.abandon(number, step);
                let result = Ok(Health::Unhealthy(NOT_ASKED_TO_THE_END.to_owned()));
                self.health_told(EndedStep { component: number, step, result, begun, at: now });
            }
        }
        for place in self.plan.range(self.current) {
            let number = index(place);
            if self.progress_table.at(number) == Progress::Starting {
                if self.deadlines.is_given_up(number, Step::Start) {
                    self.finish_late(number, NOT_IN_TIME.to_owned(), now);
                } else {
                    let why = "it was given up, because the boot fails".to_owned();
                    self.finish(number, Progress::Stopped, Some(why), now);
                }
            }
        }
    }

    /// A start that ended just when the boot failed: nothing begins because of it, and the rollback stops it.
    fn ended_anyway(&mut self, ended: EndedStep) {
        let number = ended.component;
        self.record_mut(number).set_up(ended.result.is_ok());
        if self.progress_table.at(number) != Progress::Starting {
            return;
        }
        let (progress, why) = match ended.result {
            Ok(Health::Healthy) => (Progress::Ready, None),
            Ok(Health::Degraded(why)) => (Progress::Degraded, Some(why)),
            Ok(Health::Unhealthy(why)) => (Progress::Failed, Some(why)),
            // It fails because it was given up; what it ends with may be its own.
            Err(failure) if self.deadlines.is_given_up(number, Step::Start) => {
                let why = if failure.says_only_that_it_was_given_up() {
                    NOT_IN_TIME.to_owned()
                } else {
                    ended_with(NOT_IN_TIME, &failure.line())
                };
                return self.finish_late(number, why, ended.at);
            }
            Err(failure) => (Progress::Failed, Some(failure.message)),
        };
        self.finish(number, progress, why, ended.at);
    }

    /// Tells a component's word in the events, and returns it.
    pub(crate) fn health_told(&mut self, ended: EndedStep) -> Health {
        let (number, at) = (ended.component, ended.at);
        let seconds = at.saturating_duration_since(ended.begun).as_secs_f64();
        let word = health::word(ended);
        self.events.emit_at(
            at,
            BootEvent::HealthFinished {
                component: self.descriptor(number).name.clone(),
                health: word.as_str(),
                seconds,
                reason: word.reason().map(str::to_owned),
            },
        );
        word
    }
}
