//! A Melody made ready to run: names resolved to numbers once, for all its runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipc::Payload;
use pit::dag_tracker::Shape;

use super::calls::{Calls, Target};
use crate::KitError;
use crate::error::PitRefusal;
use crate::melody::reference::{Origin, Piece, Reference};
use crate::melody::{Melody, OnError, Template};

/// A Melody with every name resolved.
pub(super) struct Score {
    pub(super) name: Arc<str>,
    pub(super) melody: Arc<Melody>,
    pub(super) inputs: Vec<Arc<str>>,
    pub(super) nodes: Vec<Part>,
    /// The graph of the nodes that run by themselves; stand-ins are not in it.
    pub(super) shape: Arc<Shape>,
    /// From an index of the shape to one of `nodes`.
    pub(super) of_shape: Vec<usize>,
}

/// One node of a score.
pub(super) struct Part {
    pub(super) id: Arc<str>,
    pub(super) call: Arc<str>,
    pub(super) operation: Arc<str>,
    pub(super) target: Target,
    pub(super) with: Vec<(String, Filling)>,
    pub(super) retry: u32,
    pub(super) timeout: Option<Duration>,
    pub(super) on_error: Ending,
    /// Its index in the shape; none for a stand-in.
    pub(super) in_shape: Option<u32>,
    /// Nodes on the longest way from it to the end, itself included.
    pub(super) height: u32,
}

/// What a failure does, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Fail,
    Skip,
    Fallback(usize),
}

/// A value of `with`, ready to be spliced.
pub(super) enum Filling {
    Ready(Payload),
    Value(Place),
    Text(Vec<TextPart>),
    List(Vec<Self>),
    Table(Vec<(String, Self)>),
}

pub(super) enum TextPart {
    Text(String),
    Value(Place),
}

/// Where a referenced value lies during a run.
pub(super) struct Place {
    pub(super) slot: Slot,
    pub(super) path: Vec<String>,
    /// As it was written, for messages.
    pub(super) written: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Input(usize),
    Node(usize),
}

impl Score {
    /// Resolves a Melody.
    ///
    /// # Errors
    /// The Melody has faults, calls something that nobody answers, or holds a value that cannot be sent.
    pub(super) fn new(melody: &Arc<Melody>, calls: &dyn Calls) -> Result<Self, KitError> {
        let diagnostics = crate::melody::check::structure(melody);
        if !diagnostics.is_empty() {
            return Err(KitError::Invalid { code: component::Code::MELODY_INVALID, diagnostics });
        }
        let index: HashMap<&str, usize> =
            melody.nodes.iter().enumerate().map(|(at, node)| (node.id.as_str(), at)).collect();
        let names = Names { melody, index: &index };
        let mut nodes = Vec::with_capacity(melody.nodes.len());
        for node in &melody.nodes {
            let unknown = || KitError::UnknownOperation { call: node.call.value.clone() };
            let (_, operation) = node.target_and_operation();
            let with: Result<_, KitError> = node
                .with
                .iter()
                .map(|(key, template)| Ok((key.value.clone(), names.filling(template)?)))
                .collect();
            nodes.push(Part {
                id: node.id.value.as_str().into(),
                call: node.call.value.as_str().into(),
                operation: operation.into(),
                target: calls.resolve(&node.call).ok_or_else(unknown)?,
                with: with?,
                retry: node.retry,
                timeout: node.timeout,
                on_error: match &node.on_error {
                    OnError::Fail => Ending::Fail,
                    OnError::Skip => Ending::Skip,
                    OnError::Fallback(id) => match index.get(id.as_str()) {
                        Some(stand_in) => Ending::Fallback(*stand_in),
                        None => Ending::Fail,
                    },
                },
                in_shape: None,
                height: 1,
            });
        }
        let (shape, of_shape) = names.shape(&mut nodes)?;
        Ok(Self {
            name: melody.name.value.as_str().into(),
            melody: Arc::clone(melody),
            inputs: melody.inputs.iter().map(|input| input.value.as_str().into()).collect(),
            nodes,
            shape,
            of_shape,
        })
    }
}

struct Names<'a> {
    melody: &'a Melody,
    index: &'a HashMap<&'a str, usize>,
}

impl Names<'_> {
    fn place(&self, reference: &Reference) -> Result<Place, KitError> {
        let slot = match &reference.origin {
            Origin::Input(name) => {
                self.melody.inputs.iter().position(|input| input.value == *name).map(Slot::Input)
            }
            Origin::Node(id) => self.index.get(id.as_str()).map(|at| Slot::Node(*at)),
        };
        let written = reference.to_string();
        let what = || format!("`{written}` means nothing");
        let slot = slot.ok_or_else(|| KitError::InvalidValue { what: what() })?;
        Ok(Place { slot, path: reference.path.clone(), written })
    }

    fn filling(&self, template: &Template) -> Result<Filling, KitError> {
        Ok(match template {
            Template::Plain(value) => Filling::Ready(
                Payload::from_value(value)
                    .map_err(|error| KitError::InvalidValue { what: error.to_string() })?,
            ),
            Template::Reference(reference) => Filling::Value(self.place(reference)?),
            Template::Text(pieces) => Filling::Text(
                pieces
                    .iter()
                    .map(|piece| match piece {
                        Piece::Text(text) => Ok(TextPart::Text(text.clone())),
                        Piece::Reference(reference) => Ok(TextPart::Value(self.place(reference)?)),
                    })
                    .collect::<Result<_, KitError>>()?,
            ),
            Template::List(items) => Filling::List(
                items.iter().map(|item| self.filling(item)).collect::<Result<_, _>>()?,
            ),
            Template::Table(entries) => Filling::Table(
                entries
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), self.filling(value)?)))
                    .collect::<Result<_, KitError>>()?,
            ),
        })
    }

    /// The graph of the nodes that run by themselves. A node waits for what it uses, and for what its stand-ins use.
    fn shape(&self, nodes: &mut [Part]) -> Result<(Arc<Shape>, Vec<usize>), KitError> {
        let mut stands_in = vec![false; nodes.len()];
        for node in nodes.iter() {
            if let Ending::Fallback(stand_in) = node.on_error {
                stands_in[stand_in] = true;
            }
        }
        let mut of_shape = Vec::new();
        let mut needs_of: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
        for at in 0..nodes.len() {
            if stands_in[at] {
                continue;
            }
            nodes[at].in_shape = u32::try_from(of_shape.len()).ok();
            of_shape.push(at);
            let mut chain = Some(at);
            while let Some(node) = chain {
                self.melody.nodes[node].references(&mut |reference| {
                    if let Origin::Node(id) = &reference.origin {
                        needs_of[at].extend(self.index.get(id.as_str()));
                    }
                });
                chain = match nodes[node].on_error {
                    Ending::Fallback(next) => Some(next),
                    _ => None,
                };
            }
            needs_of[at].sort_unstable();
            needs_of[at].dedup();
        }
        let graph: Vec<(&str, Vec<&str>)> = of_shape
            .iter()
            .map(|at| {
                let id = |at: &usize| self.melody.nodes[*at].id.value.as_str();
                (id(at), needs_of[*at].iter().map(id).collect())
            })
            .collect();
        let shape = Shape::new(&graph).map_err(|error| PitRefusal {
            member: "dag-tracker",
            step: "take the graph",
            source: Box::new(error),
        })?;
        heights(nodes, &of_shape, &shape);
        Ok((shape, of_shape))
    }
}

/// The longest way from each node to the end, from the ends back.
fn heights(nodes: &mut [Part], of_shape: &[usize], shape: &Shape) {
    let mut open: Vec<usize> = (0..shape.len()).map(|at| shape.dependants(at).len()).collect();
    let mut ends: Vec<u32> = (0..shape.len()).filter(|at| open[*at as usize] == 0).collect();
    while let Some(at) = ends.pop() {
        let height = nodes[of_shape[at as usize]].height;
        for &need in shape.needs(at) {
            let node = &mut nodes[of_shape[need as usize]];
            node.height = node.height.max(height + 1);
            open[need as usize] -= 1;
            if open[need as usize] == 0 {
                ends.push(need);
            }
        }
    }
}
