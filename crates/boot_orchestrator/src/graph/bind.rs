//! The graph of a registry: keys interned, each need bound to its providers, in linear time.
//!
//! `Plan::new` calls it. What cannot be bound becomes a fault and no edge, so that one pass finds everything that is
//! wrong. Components are numbered in the order in which they were registered.

use std::collections::HashMap;

use component::{ComponentName, Descriptor, Diagnostic, NeedKind};
use petgraph::graph::{DiGraph, NodeIndex};

use crate::graph::faults::{self, Suggestions};

/// A need bound to one of its providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Who needs.
    pub from: u32,
    /// Who provides.
    pub to: u32,
    /// Which of the needs of `from`.
    pub need: u32,
    /// How.
    pub kind: NeedKind,
}

impl Edge {
    /// Whether `from` may begin only after `to`. A late edge orders nothing, and so can hide no circle.
    pub const fn orders(&self) -> bool {
        !matches!(self.kind, NeedKind::Late)
    }

    /// Whether `from` cannot do without `to`.
    pub const fn is_hard(&self) -> bool {
        matches!(self.kind, NeedKind::One)
    }
}

/// Who is called what, and who provides what.
struct Providers<'a> {
    names: HashMap<&'a ComponentName, u32>,
    /// Ascending.
    keys: HashMap<&'a str, Vec<u32>>,
}

/// Descriptors and the edges between them.
pub(crate) struct Graph<'a> {
    pub(crate) descriptors: Vec<&'a Descriptor>,
    /// In the order of `from`, then of its needs, then of the providers.
    pub(crate) edges: Vec<Edge>,
}

impl<'a> Graph<'a> {
    /// Binds every need, and tells what cannot be bound.
    pub(crate) fn bind(descriptors: Vec<&'a Descriptor>) -> (Self, Vec<Diagnostic>) {
        let mut found = Vec::new();
        let mut providers = Providers {
            names: HashMap::with_capacity(descriptors.len()),
            keys: HashMap::with_capacity(descriptors.len()),
        };
        let mut repeated = vec![false; descriptors.len()];
        for (index, descriptor) in (0_u32..).zip(&descriptors) {
            if let Some(first) = providers.names.get(&descriptor.name) {
                // It provides nothing: each of its keys would seem ambiguous too.
                found.push(faults::duplicate(descriptors[*first as usize], descriptor));
                repeated[index as usize] = true;
                continue;
            }
            providers.names.insert(&descriptor.name, index);
            for key in &descriptor.provides {
                let those = providers.keys.entry(key.id()).or_default();
                if those.last() != Some(&index) {
                    those.push(index);
                }
            }
        }
        let mut graph = Self { edges: Vec::with_capacity(descriptors.len() * 2), descriptors };
        let mut suggestions = Suggestions::default();
        for (from, repeated) in repeated.into_iter().enumerate() {
            graph.bind_needs(from, repeated, &providers, &mut suggestions, &mut found);
        }
        (graph, found)
    }

    fn bind_needs(
        &mut self,
        from: usize,
        repeated: bool,
        providers: &Providers<'_>,
        suggestions: &mut Suggestions,
        found: &mut Vec<Diagnostic>,
    ) {
        let descriptor = self.descriptors[from];
        for (number, need) in (0_u32..).zip(&descriptor.needs) {
            let unnamed: &[u32] = providers.keys.get(need.key.id()).map_or(&[], Vec::as_slice);
            let chosen = match &need.named {
                None => unnamed,
                Some(name) => {
                    let place =
                        providers.names.get(name).and_then(|at| unnamed.binary_search(at).ok());
                    place.map_or(&[][..], |place| &unnamed[place..=place])
                }
            };
            let fault = match (need.kind, chosen) {
                (NeedKind::Every, _) | (NeedKind::Optional, []) | (_, [_]) => None,
                (_, []) => {
                    let all = &self.descriptors[..];
                    Some(faults::missing(all, descriptor, need, unnamed, suggestions))
                }
                (_, several) => {
                    Some(faults::ambiguous(&self.descriptors, descriptor, need, several))
                }
            };
            if let Some(fault) = fault {
                // One that was registered twice has each of its faults once.
                if !(repeated && found.contains(&fault)) {
                    found.push(fault);
                }
                continue;
            }
            if repeated {
                continue;
            }
            let from = index(from);
            for to in chosen.iter().copied() {
                // Who takes every provider of what it provides itself is made of the others.
                if need.kind == NeedKind::Every && to == from {
                    continue;
                }
                self.edges.push(Edge { from, to, need: number, kind: need.kind });
            }
        }
    }

    /// Edges that need something of a later phase.
    pub(crate) fn is_against_phases(&self, edge: &Edge) -> bool {
        edge.orders()
            && self.descriptors[edge.to as usize].phase > self.descriptors[edge.from as usize].phase
    }

    /// The knots among these components and edges: strongly connected, of more than one component or with an edge to
    /// itself. Each ascending, and in the order of their first component.
    pub(crate) fn knots(&self, within: &[u32], edges: &[u32]) -> Vec<Vec<u32>> {
        let mut graph: DiGraph<u32, ()> = DiGraph::with_capacity(within.len(), edges.len());
        let places: HashMap<u32, NodeIndex> =
            within.iter().map(|node| (*node, graph.add_node(*node))).collect();
        let mut own = vec![false; within.len()];
        for edge in edges.iter().map(|edge| &self.edges[*edge as usize]) {
            if let (Some(from), Some(to)) = (places.get(&edge.from), places.get(&edge.to)) {
                graph.add_edge(*from, *to, ());
                own[from.index()] |= from == to;
            }
        }
        // Kosaraju's: linear, and without recursion, so that a chain of 10,000 needs no stack.
        let mut knots: Vec<Vec<u32>> = petgraph::algo::kosaraju_scc(&graph)
            .into_iter()
            .filter(|knot| knot.len() > 1 || own[knot[0].index()])
            .map(|knot| {
                let mut nodes: Vec<u32> = knot.iter().map(|place| graph[*place]).collect();
                nodes.sort_unstable();
                nodes
            })
            .collect();
        knots.sort_unstable();
        knots
    }
}

/// A number of a component. A registry of more than four thousand million components cannot exist in memory.
pub(crate) fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Neighbours by component, in one allocation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Neighbours {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Neighbours {
    /// Groups `(component, item)` pairs by component, keeping the order of the items.
    pub(crate) fn group(count: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        let mut starts = vec![0_u32; count + 1];
        for (of, _) in pairs.clone() {
            starts[of as usize + 1] += 1;
        }
        for at in 0..count {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut items = vec![0; starts[count] as usize];
        for (of, item) in pairs {
            items[next[of as usize] as usize] = item;
            next[of as usize] += 1;
        }
        Self { starts, items }
    }

    pub(crate) fn of(&self, component: u32) -> &[u32] {
        let at = component as usize;
        &self.items[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}
