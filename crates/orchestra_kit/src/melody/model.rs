//! What a Melody is, as its file says it.

use std::path::PathBuf;
use std::time::Duration;

use component::Location;

use super::reference::{Piece, Reference};
use crate::document::Located;

/// A workflow: nodes that call operations, and the graph that their references make.
#[derive(Debug, Clone, PartialEq)]
pub struct Melody {
    /// Its file, where it came from one.
    pub file: Option<PathBuf>,
    /// Where it begins.
    pub at: Location,
    /// Its name.
    pub name: Located<String>,
    /// What a run must be given.
    pub inputs: Vec<Located<String>>,
    /// Its nodes, in the order of the file.
    pub nodes: Vec<Node>,
}

/// One call in a Melody.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its unique name in the Melody.
    pub id: Located<String>,
    /// `extension.operation` or `member.operation`.
    pub call: Located<String>,
    /// What the operation is given.
    pub with: Vec<(Located<String>, Template)>,
    /// How often a failed call is tried again.
    pub retry: u32,
    /// What a failure does.
    pub on_error: OnError,
    /// How long one try may take; none: no limit.
    pub timeout: Option<Duration>,
}

/// What the failure of a node does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnError {
    /// The run fails.
    Fail,
    /// The node's value is none; nodes that use it run.
    Skip,
    /// That node is called in its place and gives its value. It runs for nothing else.
    Fallback(Located<String>),
}

/// A value with references in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Template {
    /// A value without any.
    Plain(ipc::Value),
    /// One reference; keeps the value's type.
    Reference(Located<Reference>),
    /// Text with references in it.
    Text(Vec<Piece>),
    /// A list that holds one somewhere.
    List(Vec<Self>),
    /// A table that holds one somewhere.
    Table(Vec<(String, Self)>),
}

impl Template {
    /// Calls `visit` for each reference.
    pub fn references<'a>(&'a self, visit: &mut dyn FnMut(&'a Located<Reference>)) {
        match self {
            Self::Plain(_) => {}
            Self::Reference(reference) => visit(reference),
            Self::Text(pieces) => {
                for piece in pieces {
                    if let Piece::Reference(reference) = piece {
                        visit(reference);
                    }
                }
            }
            Self::List(items) => {
                for item in items {
                    item.references(visit);
                }
            }
            Self::Table(entries) => {
                for (_, value) in entries {
                    value.references(visit);
                }
            }
        }
    }
}

impl Node {
    /// Calls `visit` for each reference in its inputs.
    pub fn references<'a>(&'a self, visit: &mut dyn FnMut(&'a Located<Reference>)) {
        for (_, template) in &self.with {
            template.references(visit);
        }
    }

    /// The two halves of its call.
    pub fn target_and_operation(&self) -> (&str, &str) {
        self.call.split_once('.').unwrap_or((&self.call, ""))
    }
}

impl Melody {
    /// The node of that id, by its index.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.id.value == id)
    }
}
