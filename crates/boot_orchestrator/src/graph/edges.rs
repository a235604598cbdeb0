//! The graph of a registry: descriptors, and the edges between them that `bind` finds.
//!
//! Everything else of the folder looks down on this. Components are numbered in the order in which they were registered.

use std::collections::HashMap;

use component::{Descriptor, NeedKind};
use petgraph::graph::{DiGraph, NodeIndex};

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

/// Descriptors and the edges between them.
pub(crate) struct Graph<'a> {
    pub(crate) descriptors: Vec<&'a Descriptor>,
    /// In the order of `from`, then of its needs, then of the providers.
    pub(crate) edges: Vec<Edge>,
}

impl Graph<'_> {
    /// Edges that need something of a later phase.
    pub(crate) fn is_against_phases(&self, edge: &Edge) -> bool {
        edge.orders()
            && self.descriptors[edge.to as usize].phase > self.descriptors[edge.from as usize].phase
    }

    /// The strongly connected groups among these components and edges: of more than one component or with an edge to
    /// itself. Each ascending, and in the order of their first component.
    pub(crate) fn groups(&self, within: &[u32], edges: &[u32]) -> Vec<Vec<u32>> {
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
        let mut groups: Vec<Vec<u32>> = petgraph::algo::kosaraju_scc(&graph)
            .into_iter()
            .filter(|group| group.len() > 1 || own[group[0].index()])
            .map(|group| {
                let mut nodes: Vec<u32> = group.iter().map(|place| graph[*place]).collect();
                nodes.sort_unstable();
                nodes
            })
            .collect();
        groups.sort_unstable();
        groups
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
