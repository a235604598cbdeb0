//! What an artifact is worth: one number from what is known of it, so that a rule can weigh age against use.
//!
//! Called by the rules and by whoever explains them. Between 0 and 1; every part of it only falls or only rises with what it
//! is made from.

use crate::artifact_store::Metadata;

/// A tag `quality=0.7` says how good an artifact is.
pub const QUALITY_TAG: &str = "quality=";

/// What was not used for so many days counts half.
const HALF_LIFE_DAYS: f64 = 30.0;
/// What was read so often counts half as much as what is read without end.
const HALF_READS: f64 = 4.0;
/// What takes so many bytes is worth half of the same with none.
const HALF_BYTES: f64 = (1u64 << 30) as f64;
/// An artifact without a quality is neither good nor bad.
const UNKNOWN_QUALITY: f64 = 0.5;

/// The parts of a score, each between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// How lately it was put or read.
    pub recency: f64,
    /// How often it was read.
    pub usage: f64,
    /// What its quality tag says.
    pub quality: f64,
    /// How little it takes.
    pub lightness: f64,
}

impl Score {
    /// The score of an artifact at `now`, in Unix seconds.
    pub fn of(artifact: &Metadata, now: f64) -> Self {
        // A clock that was set back makes an age negative: just used.
        let idle_days = ((now - artifact.last_used()) / 86_400.0).max(0.0);
        let reads = artifact.reads as f64;
        let quality = quality(artifact).unwrap_or(UNKNOWN_QUALITY);
        Self {
            recency: (-idle_days / HALF_LIFE_DAYS).exp2(),
            usage: reads / (reads + HALF_READS),
            quality: if quality.is_nan() { UNKNOWN_QUALITY } else { quality.clamp(0.0, 1.0) },
            lightness: HALF_BYTES / (HALF_BYTES + artifact.size as f64),
        }
    }

    /// All parts as one number between 0 and 1.
    pub fn value(&self) -> f64 {
        (0.5 * self.recency + 0.3 * self.usage + 0.2 * self.quality) * self.lightness
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { recency, usage, quality, lightness } = self;
        write!(
            out,
            "score {:.2} (recency {recency:.2}, use {usage:.2}, quality {quality:.2}, lightness {lightness:.2})",
            self.value()
        )
    }
}

/// What the artifact's quality tag says; the lowest where there are several.
pub(super) fn quality(artifact: &Metadata) -> Option<f64> {
    artifact
        .tags
        .iter()
        .filter_map(|tag| tag.strip_prefix(QUALITY_TAG)?.parse().ok())
        .reduce(f64::min)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Score;
    use crate::artifact_store::{ArtifactId, Metadata};

    fn artifact(size: u64, last_put: f64, reads: u64, tags: &[&str]) -> Metadata {
        Metadata {
            id: ArtifactId::of(b"x"),
            size,
            created: 0.0,
            last_put,
            names: Vec::new(),
            tags: tags.iter().map(ToString::to_string).collect(),
            parents: Vec::new(),
            reads,
            last_read: None,
            archived: false,
        }
    }

    #[test]
    fn what_is_new_small_read_and_good_is_worth_most() {
        let now = 100.0 * 86_400.0;
        let value = |artifact: &Metadata| Score::of(artifact, now).value();
        let best = value(&artifact(0, now, u64::MAX, &["quality=1"]));
        assert!((best - 1.0).abs() < 1e-6);
        let worst = value(&artifact(u64::MAX, 0.0, 0, &["quality=0"]));
        assert!(worst < 0.01);
        assert!(value(&artifact(0, now, 0, &["quality=nan"])).is_finite());
    }

    proptest! {
        #[test]
        fn a_score_is_between_0_and_1_and_falls_with_idleness(
            size in any::<u64>(), last_put in -1e12f64..1e12, reads in any::<u64>(), quality in any::<f64>(),
            now in -1e12f64..1e12, later in 0f64..1e9,
        ) {
            let artifact = artifact(size, last_put, reads, &[&format!("quality={quality}")]);
            let (first, second) = (Score::of(&artifact, now).value(), Score::of(&artifact, now + later).value());
            prop_assert!((0.0..=1.0).contains(&first));
            prop_assert!(second <= first);
        }
    }
}
