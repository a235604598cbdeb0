//! What is told of a registry that cannot be planned.
//!
//! Below everything that plans or runs: a start can fail with the faults of a graph too, where what it needs is known
//! only while the system boots.

use component::{Code, Diagnostic, Hint};

/// Every fault of a graph at once.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", summary(.diagnostics))]
pub struct PlanFaults {
    /// The faults, in a deterministic order; never empty.
    pub diagnostics: Vec<Diagnostic>,
}

fn summary(diagnostics: &[Diagnostic]) -> String {
    match diagnostics {
        [one] => one.message.clone(),
        many => format!("{} faults in the component graph", many.len()),
    }
}

impl Hint for PlanFaults {
    /// The code that all faults share, or that of the first.
    fn code(&self) -> Code {
        self.diagnostics.first().map_or(Code::INTERNAL, |first| first.code)
    }

    fn hints(&self) -> Vec<String> {
        self.diagnostics.iter().filter_map(|fault| fault.hint.clone()).collect()
    }
}
