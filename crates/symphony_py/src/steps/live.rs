//! What the queues of steps carry here: the steps of a `symphony._boot.container.Live`.

use boot_orchestrator::steps;
use pyo3::prelude::*;

/// The component that a step belongs to (a `Live`).
pub(crate) type Live = Py<PyAny>;

pub(crate) type LiveComponent = steps::QueuedComponent<Live>;
pub(crate) type LiveStep = steps::QueuedStep<Live>;
pub(crate) type LiveThreads = steps::StepThreads<Live>;
pub(crate) type LivePlace = steps::SwapPlace<Live>;
