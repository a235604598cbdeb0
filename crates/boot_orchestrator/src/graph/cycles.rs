//! Cycles: a ring for each, and the edges that are cheapest to make late.
//!
//! A group here is strongly connected by edges that order: each of it is reached from each. It can hold more rings than
//! there are atoms. What helps is a set of rings whose suggested edits, all made, leave no circle: so a ring is found, its
//! cheapest edge is taken out, and what is left of the group is looked at again. The number of rings told of one group is
//! bounded, which keeps the work linear.

use std::collections::{HashMap, VecDeque};

use component::{Diagnostic, NeedKind, Severity};

use crate::graph::edges::{Edge, Graph, index};
use crate::graph::faults;

/// Rings told of one group at most: every one after that would be read by nobody.
const RINGS: usize = 64;
/// Groups up to this size have each candidate edge tried for how much of the group it frees.
const TRIED: usize = 64;

/// Every circle as a fault.
pub(crate) struct Cycles {
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Those that are suggested to be made late.
    pub(crate) late: Vec<u32>,
}

/// Finds every circle among the edges that order.
pub(crate) fn find(graph: &Graph<'_>, directory: Option<&str>) -> Cycles {
    let all: Vec<u32> = (0..index(graph.descriptors.len())).collect();
    let ordering: Vec<u32> =
        (0..index(graph.edges.len())).filter(|edge| graph.edges[*edge as usize].orders()).collect();
    let mut found = Cycles { diagnostics: Vec::new(), late: Vec::new() };
    let groups = graph.groups(&all, &ordering);
    for (group, edges) in with_edges(graph, groups, &ordering) {
        break_cycles(graph, group, edges, directory, &mut found);
    }
    found
}

fn break_cycles(
    graph: &Graph<'_>,
    group: Vec<u32>,
    edges: Vec<u32>,
    directory: Option<&str>,
    found: &mut Cycles,
) {
    let mut told = 0;
    let first = graph.descriptors[group[0] as usize].name.clone();
    let mut work = VecDeque::from([(group, edges)]);
    while let Some((group, edges)) = work.pop_front() {
        if told == RINGS {
            let text = format!("more circles hang on `{first}` than are shown here");
            let note = Diagnostic::error(component::Code::DEPENDENCY_CYCLE, text);
            found.diagnostics.push(note.severity(Severity::Note).hint("mend those above first"));
            return;
        }
        let ring = shortest_ring(graph, &group, &edges);
        let Some(late) = cheapest(graph, &group, &edges, &ring) else { continue };
        told += 1;
        found.late.push(late);
        let path: Vec<Edge> = ring.iter().map(|edge| graph.edges[*edge as usize]).collect();
        let late_edge = &graph.edges[late as usize];
        found.diagnostics.push(faults::cycle(graph, &path, late_edge, directory));
        let left = without(graph, &edges, late);
        work.extend(with_edges(graph, graph.groups(&group, &left), &left));
    }
}

/// What is left of the edges when the need of this one is made late: with it go the edges to its other providers.
fn without(graph: &Graph<'_>, edges: &[u32], late: u32) -> Vec<u32> {
    let late = &graph.edges[late as usize];
    let same = |edge: &Edge| edge.from == late.from && edge.need == late.need;
    edges.iter().copied().filter(|edge| !same(&graph.edges[*edge as usize])).collect()
}

/// Each group with the edges that have both ends in it; looks at each edge once.
fn with_edges(
    graph: &Graph<'_>,
    groups: Vec<Vec<u32>>,
    edges: &[u32],
) -> Vec<(Vec<u32>, Vec<u32>)> {
    let mut places: HashMap<u32, usize> = HashMap::new();
    for (place, group) in groups.iter().enumerate() {
        places.extend(group.iter().map(|node| (*node, place)));
    }
    let mut found: Vec<_> = groups.into_iter().map(|group| (group, Vec::new())).collect();
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

/// The shortest ring through the first component of a group, beginning there.
fn shortest_ring(graph: &Graph<'_>, group: &[u32], edges: &[u32]) -> Vec<u32> {
    let start = group[0];
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
/// can edit, a plain need; then the one that frees most; then the one that closes the ring.
fn cheapest(graph: &Graph<'_>, group: &[u32], edges: &[u32], ring: &[u32]) -> Option<u32> {
    let left_in_cycles = |late: u32| -> usize {
        if group.len() > TRIED {
            return 0;
        }
        let left = without(graph, edges, late);
        graph.groups(group, &left).iter().map(Vec::len).sum()
    };
    ring.iter().rev().copied().min_by_key(|late| {
        let edge = &graph.edges[*late as usize];
        let need = &graph.descriptors[edge.from as usize].needs[edge.need as usize];
        (
            !graph.is_against_phases(edge),
            need.parameter.is_none(),
            edge.kind != NeedKind::One,
            left_in_cycles(*late),
        )
    })
}
