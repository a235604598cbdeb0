//! What became slower than in an earlier boot: two reports, side by side.
//!
//! A difference counts when it is larger than [`NOISE_SECONDS`] and larger than [`NOISE_SHARE`] of what it was: two boots of
//! the same system differ by less than either most of the time, and a small thing that doubles costs nobody anything.

use component::Phase;
use serde::{Deserialize, Serialize};

use crate::event::boot_event::Status;
use crate::report::boot_report::BootReport;

/// A smaller difference is noise.
pub const NOISE_SECONDS: f64 = 0.001;

/// So is a smaller share of what it was.
pub const NOISE_SHARE: f64 = 0.15;

/// The part of an earlier report that is compared. What else it holds is ignored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Baseline {
    schema: u32,
    ready_seconds: Option<f64>,
    overhead_seconds: Option<f64>,
    phases: Vec<EarlierPhase>,
    components: Vec<EarlierComponent>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct EarlierPhase {
    name: String,
    status: String,
    seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct EarlierComponent {
    name: String,
    started_at: Option<f64>,
    seconds: f64,
}

/// Why a text is no baseline, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BaselineError {
    /// What is wrong.
    pub message: String,
    /// Its line, from 1; none where the whole is meant.
    pub line: Option<u32>,
    /// Its column, from 1.
    pub column: Option<u32>,
}

/// What a figure is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The whole boot: `ready`, `overhead`.
    System,
    /// A phase.
    Phase,
    /// A component.
    Component,
}

/// A figure that differs by more than noise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Of what.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What it was.
    pub earlier_seconds: f64,
    /// What it is.
    pub seconds: f64,
    /// By how much it is more; below zero for less.
    pub difference_seconds: f64,
    /// What it is, as a multiple of what it was; none where it was nothing.
    pub ratio: Option<f64>,
}

/// Two boots side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// What became slower by more than noise, the worst first.
    pub slower: Vec<Change>,
    /// What became faster by more than noise, the best first.
    pub faster: Vec<Change>,
    /// Components that the earlier boot did not start.
    pub new: Vec<String>,
    /// Components that this boot did not start.
    pub gone: Vec<String>,
    /// What counts as noise.
    pub noise: Noise,
}

/// What counts as noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Noise {
    /// Seconds.
    pub seconds: f64,
    /// A share of the earlier figure.
    pub share: f64,
}

impl Baseline {
    /// Reads a document of `run --json` or [`BootReport::to_json`].
    ///
    /// # Errors
    /// It is no JSON, no report, or the report of a boot that was never ready.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let baseline: Self = serde_json::from_str(text).map_err(|error| {
            let full = error.to_string();
            let place = format!(" at line {} column {}", error.line(), error.column());
            let message = full.strip_suffix(&place).unwrap_or(&full);
            let number = |number: usize| u32::try_from(number).ok().filter(|number| *number > 0);
            BaselineError {
                message: format!("it is not a report of a boot: {message}"),
                line: number(error.line()),
                column: number(error.column()),
            }
        })?;
        let whole = |message: String| BaselineError { message, line: None, column: None };
        if baseline.schema != 1 {
            let schema = baseline.schema;
            return Err(whole(format!("its schema is {schema}, and this Symphony knows schema 1")));
        }
        if baseline.ready_seconds.is_none() {
            return Err(whole("it is the report of a boot that was never ready".to_owned()));
        }
        Ok(baseline)
    }
}

impl BootReport {
    /// What became slower or faster than in an earlier boot, what is new and what is gone.
    pub fn compare(&self, earlier: &Baseline) -> Comparison {
        let mut changes = Vec::new();
        let mut look = |kind, name: &str, was: Option<f64>, is: Option<f64>| {
            if let (Some(was), Some(is)) = (was, is) {
                changes.extend(change(kind, name, was, is));
            }
        };
        look(Kind::System, "ready", earlier.ready_seconds, self.ready_seconds);
        look(Kind::System, "overhead", earlier.overhead_seconds, Some(self.overhead_seconds));
        for phase in &self.phases {
            let was = earlier.phase(phase.name);
            let is = (phase.status != Status::Skipped).then_some(phase.seconds);
            look(Kind::Phase, phase.name.as_str(), was, is);
        }
        let mut new = Vec::new();
        for one in self.components.iter().filter(|one| one.started_at.is_some()) {
            match earlier.component(one.name.as_str()) {
                Some(was) => look(Kind::Component, one.name.as_str(), Some(was), Some(one.seconds)),
                None => new.push(one.name.to_string()),
            }
        }
        let stays = |name: &str| {
            self.components.iter().any(|one| one.started_at.is_some() && one.name.as_str() == name)
        };
        let started = earlier.components.iter().filter(|one| one.started_at.is_some());
        let gone = started.map(|one| one.name.clone()).filter(|name| !stays(name)).collect();
        changes.sort_by(|one, other| {
            other.difference_seconds.abs().total_cmp(&one.difference_seconds.abs())
        });
        let (slower, faster) =
            changes.into_iter().partition(|change| change.difference_seconds > 0.0);
        let noise = Noise { seconds: NOISE_SECONDS, share: NOISE_SHARE };
        Comparison { slower, faster, new, gone, noise }
    }
}

impl Baseline {
    fn phase(&self, phase: Phase) -> Option<f64> {
        let mut phases = self.phases.iter();
        let found = phases.find(|one| one.name == phase.as_str() && one.status != "skipped");
        found.map(|one| one.seconds)
    }

    fn component(&self, name: &str) -> Option<f64> {
        let mut components = self.components.iter();
        let found = components.find(|one| one.name == name && one.started_at.is_some());
        found.map(|one| one.seconds)
    }
}

/// A change, where it is more than noise.
fn change(kind: Kind, name: &str, was: f64, is: f64) -> Option<Change> {
    let difference = is - was;
    let matters = difference.abs() > NOISE_SECONDS && difference.abs() > NOISE_SHARE * was;
    matters.then(|| Change {
        kind,
        name: name.to_owned(),
        earlier_seconds: was,
        seconds: is,
        difference_seconds: difference,
        ratio: (was > 0.0).then(|| is / was),
    })
}

impl Comparison {
    /// The comparison as one JSON value.
    pub fn to_value(&self) -> serde_json::Value {
        // Every key is text and every value a plain one: it cannot fail, and if it did, the document says so.
        serde_json::to_value(self)
            .unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_over_both_thresholds_is_a_change() {
        let told = |was, is| change(Kind::Phase, "pit", was, is).map(|one| one.difference_seconds);
        // Over 15 % and under 1 ms; over 1 ms and under 15 %; exactly 15 %; over both, either way.
        assert_eq!(told(0.000_1, 0.000_9), None);
        assert_eq!(told(0.1, 0.11), None);
        assert_eq!(told(2.0, 2.25), None);
        assert!(told(0.01, 0.012).is_some_and(|more| more > 0.0));
        assert!(told(0.012, 0.01).is_some_and(|more| more < 0.0));
        assert_eq!(change(Kind::Phase, "pit", 0.0, 0.002).unwrap().ratio, None);
    }

    #[test]
    fn a_text_that_is_no_report_says_where() {
        let fault = Baseline::parse("{\n  \"schema\": 1,\n  oops\n}").unwrap_err();
        assert_eq!((fault.line, fault.column), (Some(3), Some(3)), "{fault}");
        let fault = Baseline::parse("{\"schema\": 1}").unwrap_err();
        assert!(fault.message.contains("missing field `ready_seconds`") || fault.line == Some(1));
        let fault = Baseline::parse("").unwrap_err();
        assert!(fault.message.starts_with("it is not a report of a boot: "), "{fault}");
        assert!(!fault.message.contains(" at line "), "{fault}");
        let never =
            r#"{"schema":1,"ready_seconds":null,"overhead_seconds":0,"phases":[],"components":[]}"#;
        assert!(Baseline::parse(never).unwrap_err().message.contains("never ready"));
        let other =
            r#"{"schema":2,"ready_seconds":1,"overhead_seconds":0,"phases":[],"components":[]}"#;
        assert!(Baseline::parse(other).unwrap_err().message.contains("schema is 2"));
    }
}
