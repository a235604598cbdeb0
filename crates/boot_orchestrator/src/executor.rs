//! Runs a plan: phase by phase, each component the moment its own needs are healthy.

use crate::error::BootFailure;
use crate::options::BootOptions;
use crate::plan::Plan;
use crate::running::Running;
use crate::standing::Standings;

/// A boot that is about to run.
pub struct Boot {
    plan: Plan,
    options: BootOptions,
    standings: Standings,
}

impl Boot {
    /// A boot of this plan.
    pub fn new(plan: Plan, options: BootOptions) -> Self {
        let standings = Standings::new(plan.clone());
        Self { plan, options, standings }
    }

    /// How each component stands, readable from any thread while the boot runs.
    pub fn standings(&self) -> Standings {
        self.standings.clone()
    }

    /// Runs the boot on this thread, which only dispatches: it returns at its deadline whatever the components do.
    ///
    /// # Errors
    /// [`BootFailure`] with the first failure, after everything that had started was stopped.
    pub fn run(self) -> Result<Running, Box<BootFailure>> {
        todo!()
    }
}
