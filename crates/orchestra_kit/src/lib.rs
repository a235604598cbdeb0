//! orchestra_kit
