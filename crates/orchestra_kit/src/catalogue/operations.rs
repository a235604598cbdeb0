//! What can be called, as far as it is known without running anything.

use std::path::Path;

use component::{Diagnostic, Location};

/// An operation that an extension or a Pit member has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its name, the second half of a call.
    pub name: String,
    /// What it takes. None: not known, and not checked.
    pub inputs: Option<Vec<OperationInput>>,
}

/// One input of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationInput {
    /// Its name.
    pub name: String,
    /// Whether a call must give it.
    pub required: bool,
}

impl Operation {
    /// An operation of which the name alone is known.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), inputs: None }
    }

    /// An operation with its inputs; a name that ends with `?` may be left out.
    pub fn with_inputs(name: impl Into<String>, inputs: &[&str]) -> Self {
        let inputs = inputs
            .iter()
            .map(|input| OperationInput {
                name: input.trim_end_matches('?').to_owned(),
                required: !input.ends_with('?'),
            })
            .collect();
        Self { name: name.into(), inputs: Some(inputs) }
    }
}

/// Reads the operations of a Python source without running it.
pub trait SourceReader: Sync {
    /// The operations of the extension that `attribute` of `file` holds. None: they cannot be told from the source.
    ///
    /// # Errors
    /// A diagnostic when the source cannot be parsed or has no such attribute.
    fn operations(
        &self,
        file: &Path,
        attribute: &str,
    ) -> Option<Result<Vec<Operation>, Diagnostic>>;

    /// What is wrong with an interpreter that an extension names, which stands at that place; it is asked for its version.
    fn interpreter(&self, _python: &Path, _at: &Location) -> Option<Diagnostic> {
        None
    }
}

/// What is known of the operations of one extension or member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// These, and no other.
    Operations(Vec<Operation>),
    /// Nothing before its first start.
    Unverified,
}

impl Known {
    /// The operation of that name, where the operations are known.
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        match self {
            Self::Operations(operations) => {
                operations.iter().find(|operation| operation.name == name)
            }
            Self::Unverified => None,
        }
    }
}

/// Who answers calls: what a Melody is checked against.
pub trait Operations {
    /// What is known of the extension or member of that name.
    fn target(&self, name: &str) -> Option<&Known>;

    /// The names of all of them.
    fn targets(&self) -> Vec<&str>;
}

/// Several sources of operations as one; the first that knows a name answers.
pub struct Together<'a>(pub &'a [&'a dyn Operations]);

impl Operations for Together<'_> {
    fn target(&self, name: &str) -> Option<&Known> {
        self.0.iter().find_map(|source| source.target(name))
    }

    fn targets(&self) -> Vec<&str> {
        self.0.iter().flat_map(|source| source.targets()).collect()
    }
}

/// The Pit members that a system starts, with their operations.
#[derive(Debug, Clone, Default)]
pub struct MemberOperations(pub Vec<(String, Known)>);

impl Operations for MemberOperations {
    fn target(&self, name: &str) -> Option<&Known> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, known)| known)
    }

    fn targets(&self) -> Vec<&str> {
        self.0.iter().map(|(member, _)| member.as_str()).collect()
    }
}
