//! Which of Symphony's own components a caller brings himself.
//!
//! Asked by `foundation`, `members` and `extensions` while each registers what is left.

/// Whether a caller's own object stands in for this component.
pub(super) fn is_replaced(name: &str, replaced: &[String]) -> bool {
    replaced.iter().any(|key| key == name)
}
