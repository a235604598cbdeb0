//! How the report writes names, phases and statuses into its JSON.
//!
//! The vocabulary's own types have no `Serialize`: their words are a promise of this document, and not of theirs.

use component::{ComponentName, Phase};

use crate::event::boot_event::Status;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(super) const fn is_one(number: &u32) -> bool {
    *number == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(super) fn phase_word<S: serde::Serializer>(phase: &Phase, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(phase.as_str())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(super) fn status_word<S: serde::Serializer>(status: &Status, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(status.as_str())
}

pub(super) fn name_word<S: serde::Serializer>(
    name: &ComponentName,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.serialize_str(name.as_str())
}

#[expect(clippy::ref_option, reason = "serde hands over a reference")]
pub(super) fn optional_name_word<S: serde::Serializer>(
    name: &Option<ComponentName>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match name {
        Some(name) => name_word(name, to),
        None => to.serialize_none(),
    }
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
pub(super) fn optional_phase_word<S: serde::Serializer>(
    phase: &Option<Phase>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match phase {
        Some(phase) => phase_word(phase, to),
        None => to.serialize_none(),
    }
}

pub(super) fn name_words<S: serde::Serializer>(
    names: &[ComponentName],
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_seq(names.iter().map(ComponentName::as_str))
}
