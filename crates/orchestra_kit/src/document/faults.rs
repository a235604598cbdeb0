//! Where a reader puts what it finds wrong, so that all of it is told at once.

use component::{Code, Diagnostic, Location, Severity};

/// The faults found so far, all under one code.
#[derive(Debug)]
pub(crate) struct Faults {
    code: Code,
    found: Vec<Diagnostic>,
}

impl Faults {
    pub(crate) fn new(code: Code) -> Self {
        Self { code, found: Vec::new() }
    }

    /// Adds an error at a place.
    pub(crate) fn error(&mut self, at: &Location, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::error(self.code, message).at(at.clone()))
    }

    /// Adds a finished diagnostic.
    pub(crate) fn push(&mut self, fault: Diagnostic) -> &mut Diagnostic {
        let index = self.found.len();
        self.found.push(fault);
        &mut self.found[index]
    }

    /// Adds those of another reader.
    pub(crate) fn extend(&mut self, faults: impl IntoIterator<Item = Diagnostic>) {
        self.found.extend(faults);
    }

    /// How many errors there are; warnings and notes do not count.
    pub(crate) fn errors(&self) -> usize {
        self.found.iter().filter(|fault| fault.severity == Severity::Error).count()
    }

    /// Everything found, sorted by place.
    pub(crate) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.found.sort_by(|left, right| left.location.cmp(&right.location));
        self.found
    }
}
