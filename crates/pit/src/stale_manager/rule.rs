//! One rule: what it is about, and what it wants done.

use std::fmt::Write as _;
use std::time::Duration;

use super::NamePattern;
use super::score::{Score, quality};
use crate::artifact_store::Metadata;
use crate::{PitError, PitResult};

/// What may be done with an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// It stays as it is.
    Keep,
    /// Its bytes move to the archive folder.
    Archive,
    /// It goes.
    Delete,
}

impl Action {
    /// The word for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Archive => "archive",
            Self::Delete => "delete",
        }
    }
}

/// A rule fits an artifact when all its conditions hold. The first rule that fits decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name, for explanations; a rule of the same name is replaced where it stands.
    pub name: String,
    /// What is done with what it fits.
    pub action: Action,
    /// Last put longer ago than this.
    pub older_than: Option<Duration>,
    /// Neither put nor read for longer than this.
    pub unused_for: Option<Duration>,
    /// Read fewer times than this.
    pub reads_below: Option<u64>,
    /// More bytes than this.
    pub larger_than: Option<u64>,
    /// It has this tag.
    pub tag: Option<String>,
    /// One of its names fits this pattern of `*` and `?`.
    pub named: Option<NamePattern>,
    /// It has a [`super::QUALITY_TAG`] with less than this; what has none is not judged.
    pub quality_below: Option<f64>,
    /// Its [`Score`] is less than this: age, use, quality and size weighed against each other.
    pub score_below: Option<f64>,
}

impl Rule {
    /// A rule without conditions.
    pub fn new(name: impl Into<String>, action: Action) -> Self {
        Self {
            name: name.into(),
            action,
            older_than: None,
            unused_for: None,
            reads_below: None,
            larger_than: None,
            tag: None,
            named: None,
            quality_below: None,
            score_below: None,
        }
    }

    /// Refuses rules that cannot be meant.
    pub(super) fn check(&self) -> PitResult<()> {
        let refuse = |what, expected| {
            Err(PitError::Invalid { what, value: self.name.chars().take(80).collect(), expected })
        };
        if self.name.is_empty() {
            return refuse("rule name", "at least one character");
        }
        if self.quality_below.is_some_and(f64::is_nan) {
            return refuse("rule", "given a quality that is a number");
        }
        if self.named.as_ref().is_some_and(|pattern| !pattern.is_lawful()) {
            return refuse(
                "rule",
                "given a pattern with at most 126 different letters beyond ASCII",
            );
        }
        if self.score_below.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
            return refuse("rule", "given a score between 0 and 1");
        }
        let unconditional = *self == Self::new(self.name.clone(), self.action);
        if unconditional && self.action == Action::Delete {
            return refuse("rule", "given a condition, or it would delete everything");
        }
        Ok(())
    }

    /// Whether all conditions hold at `now`, in Unix seconds.
    pub(super) fn fits(&self, artifact: &Metadata, now: f64) -> bool {
        let longer = |limit: &Option<Duration>, since: f64| {
            // A clock that was set back makes an age negative: not old.
            limit.is_none_or(|limit| now - since > limit.as_secs_f64())
        };
        longer(&self.older_than, artifact.last_put)
            && longer(&self.unused_for, artifact.last_used())
            && self.reads_below.is_none_or(|limit| artifact.reads < limit)
            && self.larger_than.is_none_or(|limit| artifact.size > limit)
            && self.tag.as_ref().is_none_or(|tag| artifact.tags.contains(tag))
            && self
                .named
                .as_ref()
                .is_none_or(|pattern| artifact.names.iter().any(|(name, _)| pattern.fits(name)))
            && self
                .quality_below
                .is_none_or(|limit| quality(artifact).is_some_and(|quality| quality < limit))
            && self.score_below.is_none_or(|limit| Score::of(artifact, now).value() < limit)
    }

    /// Why it fits, as words.
    pub(super) fn reasons(&self, artifact: &Metadata, now: f64) -> String {
        let mut text = String::new();
        let mut because = |reason: std::fmt::Arguments<'_>| {
            let _ = write!(text, "{}{reason}", if text.is_empty() { "" } else { ", " });
        };
        if let Some(limit) = self.older_than {
            let age = days(now - artifact.last_put);
            because(format_args!("put {age} ago (limit {})", days(limit.as_secs_f64())));
        }
        if let Some(limit) = self.unused_for {
            let age = days(now - artifact.last_used());
            because(format_args!("unused for {age} (limit {})", days(limit.as_secs_f64())));
        }
        if let Some(limit) = self.reads_below {
            because(format_args!("read {} times (fewer than {limit})", artifact.reads));
        }
        if let Some(limit) = self.larger_than {
            because(format_args!("{} bytes (more than {limit})", artifact.size));
        }
        if let Some(tag) = &self.tag {
            because(format_args!("tagged `{tag}`"));
        }
        if let Some(pattern) = &self.named {
            because(format_args!("named like `{}`", pattern.as_str()));
        }
        if let (Some(limit), Some(quality)) = (self.quality_below, quality(artifact)) {
            because(format_args!("quality {quality} (below {limit})"));
        }
        if let Some(limit) = self.score_below {
            because(format_args!("{} below {limit}", Score::of(artifact, now)));
        }
        if text.is_empty() {
            text.push_str("it fits everything");
        }
        text
    }
}

fn days(seconds: f64) -> String {
    const UNITS: [(f64, &str); 3] = [(86_400.0, "d"), (3600.0, "h"), (60.0, "min")];
    match UNITS.iter().find(|(unit, _)| seconds >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", seconds / unit),
        None => format!("{seconds:.1} s"),
    }
}
