//! Circles: a ring for each, and the edges that are cheapest to make late.
//!
//! A knot of components can hold more rings than there are atoms. What helps is a set of rings whose suggested edits,
//! all made, leave no circle: so a ring is found, its cheapest edge is taken out, and what is left of the knot is looked at
//! again. The number of rings told of one knot is bounded, which keeps the work linear.

use std::collections::{HashMap, VecDeque};

use component::{Diagnostic, NeedKind, Severity};

use crate::graph::bind::{Edge, Graph, index};
use crate::graph::faults;

/// Rings told of one knot at most.
const RINGS: usize = 64;
/// Knots up to this size have each candidate edge tried for how much of the knot it unties.
const TRIED: usize = 64;

/// Faults of every circle, and the edges whose edits they suggest.
pub(crate) struct Circles {
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) cuts: Vec<u32>,
}

/// Finds every circle among the edges that order.
pub(crate) fn circles(graph: &Graph<'_>, directory: Option<&str>) -> Circles {
    let all: Vec<u32> = (0..index(graph.descriptors.len())).collect();
    let ordering: Vec<u32> =
        (0..index(graph.edges.len())).filter(|edge| graph.edges[*edge as usize].orders()).collect();
    let mut found = Circles { diagnostics: Vec::new(), cuts: Vec::new() };
    let knots = graph.knots(&all, &ordering);
    for (knot, edges) in with_edges(graph, knots, &ordering) {
        untie(graph, knot, edges, directory, &mut found);
    }
    found
}

fn untie(
    graph: &Graph<'_>,
    knot: Vec<u32>,
    edges: Vec<u32>,
    directory: Option<&str>,
    found: &mut Circles,
) {
    let mut told = 0;
    let first = graph.descriptors[knot[0] as usize].name.clone();
    let mut work = VecDeque::from([(knot, edges)]);
    while let Some((knot, edges)) = work.pop_front() {
        if told == RINGS {
            let text = format!("more circles hang on `{first}` than are shown here");
            let note = Diagnostic::error(component::Code::DEPENDENCY_CYCLE, text);
            found.diagnostics.push(note.severity(Severity::Note).hint("mend those above first"));
            return;
        }
        let ring = shortest_ring(graph, &knot, &edges);
        let Some(cut) = cheapest(graph, &knot, &edges, &ring) else { continue };
        told += 1;
        found.cuts.push(cut);
        let path: Vec<Edge> = ring.iter().map(|edge| graph.edges[*edge as usize]).collect();
        let cut_edge = &graph.edges[cut as usize];
        found.diagnostics.push(faults::cycle(graph, &path, cut_edge, directory));
        let left = without(graph, &edges, cut);
        work.extend(with_edges(graph, graph.knots(&knot, &left), &left));
    }
}

/// What is left of the edges when the need of this one is made late: with it go the edges to its other providers.
fn without(graph: &Graph<'_>, edges: &[u32], cut: u32) -> Vec<u32> {
    let cut = &graph.edges[cut as usize];
    let same = |edge: &Edge| edge.from == cut.from && edge.need == cut.need;
    edges.iter().copied().filter(|edge| !same(&graph.edges[*edge as usize])).collect()
}

/// Each knot with the edges that have both ends in it; looks at each edge once.
fn with_edges(graph: &Graph<'_>, knots: Vec<Vec<u32>>, edges: &[u32]) -> Vec<(Vec<u32>, Vec<u32>)> {
    let mut places: HashMap<u32, usize> = HashMap::new();
    for (place, knot) in knots.iter().enumerate() {
        places.extend(knot.iter().map(|node| (*node, place)));
    }
    let mut found: Vec<_> = knots.into_iter().map(|knot| (knot, Vec::new())).collect();
    for edge in edges {
        let ends = &graph.edges[*edge as usize];
        if let Some(place) =
            places.get(&ends.from).filter(|place| places.get(&ends.to) == Some(*place))
        {
            found[*place].1.push(*edge);
        }
    }
    found
}

/// The shortest ring through the first component of a knot, beginning there.
fn shortest_ring(graph: &Graph<'_>, knot: &[u32], edges: &[u32]) -> Vec<u32> {
    let start = knot[0];
    let mut leaving: HashMap<u32, Vec<u32>> = HashMap::new();
    for edge in edges {
        leaving.entry(graph.edges[*edge as usize].from).or_default().push(*edge);
    }
    let mut reached: HashMap<u32, u32> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for edge in leaving.get(&node).map_or(&[][..], Vec::as_slice) {
            let to = graph.edges[*edge as usize].to;
            if to == start {
                let mut ring = vec![*edge];
                let mut at = node;
                while let Some(edge) = reached.get(&at).filter(|_| at != start) {
                    ring.push(*edge);
                    at = graph.edges[*edge as usize].from;
                }
                ring.reverse();
                return ring;
            }
            reached.entry(to).or_insert_with(|| {
                queue.push_back(to);
                *edge
            });
        }
    }
    Vec::new()
}

/// The edge of a ring that costs least to make late: one that is wrong anyhow (it needs a later phase), one that a person
/// can edit, a plain need; then the one that unties most; then the one that closes the ring.
fn cheapest(graph: &Graph<'_>, knot: &[u32], edges: &[u32], ring: &[u32]) -> Option<u32> {
    let tied_without = |cut: u32| -> usize {
        if knot.len() > TRIED {
            return 0;
        }
        let left = without(graph, edges, cut);
        graph.knots(knot, &left).iter().map(Vec::len).sum()
    };
    ring.iter().rev().copied().min_by_key(|cut| {
        let edge = &graph.edges[*cut as usize];
        let need = &graph.descriptors[edge.from as usize].needs[edge.need as usize];
        (
            !graph.is_against_phases(edge),
            need.parameter.is_none(),
            edge.kind != NeedKind::One,
            tied_without(*cut),
        )
    })
}
