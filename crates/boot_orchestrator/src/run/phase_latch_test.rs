//! What the latch says by itself; `tests/interleavings.rs` takes in `latch.rs` and looks at several threads.

use std::time::Duration;

use component::Phase;

use crate::run::phase_latch::{Passage, PhaseLatch};

#[test]
fn opening_a_phase_opens_those_before_it_and_no_later_one() {
    let latch = PhaseLatch::new();
    assert!(!latch.is_open(Phase::Foundation));
    latch.open(Phase::Pit);
    assert!(latch.is_open(Phase::Foundation) && latch.is_open(Phase::Pit));
    assert!(!latch.is_open(Phase::OrchestraKit));
}

#[test]
fn a_wait_ends_with_the_gate_with_the_boot_or_with_its_time() {
    let latch = PhaseLatch::new();
    assert_eq!(latch.wait(Phase::Pit, Duration::ZERO), Passage::TimedOut);
    latch.passed(Phase::IpcBus);
    assert_eq!(latch.wait(Phase::IpcBus, Duration::ZERO), Passage::Passed);
    latch.ended();
    assert_eq!(latch.wait(Phase::Pit, Duration::MAX), Passage::Ended);
    assert_eq!(latch.wait(Phase::IpcBus, Duration::MAX), Passage::Passed);
}
