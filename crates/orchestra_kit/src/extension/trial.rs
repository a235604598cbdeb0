//! Several versions of one extension side by side, each with a share of its calls.
//!
//! Put before an extension by the kit, asked by [`ExtensionHandle`](super::ExtensionHandle) for each call. Invariants:
//! a call goes to one version and is counted there; calls of one key go to one version for as long as the trial lasts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ipc::{Payload, Value};
use parking_lot::Mutex;

use super::Extension;

/// Of how many calls each version's latencies are kept.
const KEPT: usize = 4096;

/// Something of the beginner's own.
pub type Tag = Arc<dyn std::any::Any + Send + Sync>;

/// What one version did.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantReport {
    /// Its name in the trial.
    pub name: String,
    /// Its share of the calls, as asked for.
    pub share: f64,
    /// How many calls it had.
    pub calls: u64,
    /// How many of them failed.
    pub errors: u64,
    /// The seconds of its last calls, oldest first.
    pub seconds: Vec<f64>,
}

pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) share: f64,
    pub(crate) extension: Arc<Extension>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    calls: u64,
    errors: u64,
    seconds: VecDeque<f64>,
}

impl Variant {
    pub(crate) fn new(name: String, share: f64, extension: Arc<Extension>) -> Self {
        Self { name, share, extension, counts: Mutex::default() }
    }
}

/// One trial.
pub(crate) struct Trial {
    variants: Vec<Variant>,
    /// The input whose value keeps calls together.
    key: Option<String>,
    seed: u64,
    drawn: AtomicU64,
    /// What whoever began it wants to find again at each call.
    tag: Option<Tag>,
}

impl Trial {
    /// The shares sum to one.
    pub(crate) fn new(
        variants: Vec<Variant>,
        key: Option<String>,
        seed: u64,
        tag: Option<Tag>,
    ) -> Self {
        Self { variants, key, seed, drawn: AtomicU64::new(0), tag }
    }

    pub(crate) fn variants(&self) -> &[Variant] {
        &self.variants
    }

    pub(super) fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    pub(crate) fn into_variants(self) -> Vec<Variant> {
        self.variants
    }

    /// A call begins: which version has it. `key` is what its caller made of it already.
    pub(super) fn begin(
        self: &Arc<Self>,
        inputs: &Payload,
        key: Option<&[u8]>,
    ) -> (Arc<Extension>, Begun) {
        let place = self.place(inputs, key);
        let begun = Begun { trial: Arc::clone(self), place, at: Instant::now(), failed: true };
        (Arc::clone(&self.variants[place].extension), begun)
    }

    fn place(&self, inputs: &Payload, key: Option<&[u8]>) -> usize {
        let number = match (key, &self.key) {
            (Some(key), _) => hash(self.seed, key),
            (None, Some(input)) => hash(self.seed, &value_of(inputs, input)),
            (None, None) => mixed(self.seed ^ mixed(self.drawn.fetch_add(1, Ordering::Relaxed))),
        };
        // The upper 53 bits are a number from 0 up to, and without, 1.
        let mut point = (number >> 11) as f64 / (1_u64 << 53) as f64;
        for (place, variant) in self.variants.iter().enumerate() {
            point -= variant.share;
            if point < 0.0 {
                return place;
            }
        }
        self.variants.len() - 1
    }

    pub(crate) fn report(&self) -> Vec<VariantReport> {
        let report = |variant: &Variant| {
            let counts = variant.counts.lock();
            VariantReport {
                name: variant.name.clone(),
                share: variant.share,
                calls: counts.calls,
                errors: counts.errors,
                seconds: counts.seconds.iter().copied().collect(),
            }
        };
        self.variants.iter().map(report).collect()
    }
}

/// A call on its way; counted when it is dropped.
pub(super) struct Begun {
    trial: Arc<Trial>,
    place: usize,
    at: Instant,
    failed: bool,
}

impl Begun {
    /// It has a result.
    pub(super) fn went_well(&mut self) {
        self.failed = false;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let seconds = self.at.elapsed().as_secs_f64();
        let mut counts = self.trial.variants[self.place].counts.lock();
        counts.calls += 1;
        counts.errors += u64::from(self.failed);
        if counts.seconds.len() == KEPT {
            counts.seconds.pop_front();
        }
        counts.seconds.push_back(seconds);
    }
}

/// The value of one input as bytes; calls without it are alike.
fn value_of(inputs: &Payload, input: &str) -> Vec<u8> {
    let Ok(Value::Map(entries)) = inputs.value() else { return Vec::new() };
    let found = entries.into_iter().find(|(name, _)| name == input);
    found.map(|(_, value)| format!("{value:?}").into_bytes()).unwrap_or_default()
}

fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let start = mixed(seed ^ 0xcbf2_9ce4_8422_2325);
    mixed(
        bytes
            .iter()
            .fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)),
    )
}

/// Spreads the bits of a number (splitmix64).
const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
