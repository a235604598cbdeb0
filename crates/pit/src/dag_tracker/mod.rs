//! Running workflows: which node may run, what is done, what failed, and a journal that survives the process.
//!
//! A [`Shape`] is the immutable graph, shared by every run of it; a run is one pass through a shape. Two ways in: by
//! node name (Python, tools) and by node index (the Melody engine), over the same state. Invariant: a node is ready
//! exactly when all its needs are completed or skipped (soft ones: have ended), and a completed node is never ready again, across restarts
//! included.

mod by_name;
mod ledger;
mod policy;
mod queue;
mod record;
mod references;
mod run;
mod shape;
mod state;
mod step;
mod stored;
mod take;
mod tracker;
mod upkeep;

pub use policy::RunPolicy;
pub use queue::AGEING;
pub use shape::Shape;
pub use state::{NodeCounts, NodeState, NodeStatus, RunId, RunState, RunStatus};
pub use step::{Step, SubmitOptions, TrackerStats};
pub use stored::Stored;
pub use tracker::DagTracker;
