//! Rings in a graph given as lists of edges; used for `requires` of extensions and for the nodes of Melodies.

use std::collections::VecDeque;

/// Finds rings: for each knot of nodes that reach each other, a shortest ring through its first node, each node once.
/// `edges[node]` lists what the node needs.
pub(crate) fn rings(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut knotted = vec![true; edges.len()];
    peel(edges, &mut knotted);
    peel(&reversed(edges), &mut knotted);
    let mut rings: Vec<Vec<usize>> = Vec::new();
    let mut told = vec![false; edges.len()];
    for start in 0..edges.len() {
        if knotted[start]
            && !told[start]
            && let Some(ring) = shortest(edges, &knotted, start)
        {
            for node in &ring {
                told[*node] = true;
            }
            rings.push(ring);
        }
    }
    rings
}

/// Unmarks every node whose needs all end somewhere.
fn peel(edges: &[Vec<usize>], knotted: &mut [bool]) {
    let dependants = reversed(edges);
    let mut open: Vec<usize> =
        edges.iter().map(|needs| needs.iter().filter(|need| knotted[**need]).count()).collect();
    let mut done: Vec<usize> =
        (0..edges.len()).filter(|node| knotted[*node] && open[*node] == 0).collect();
    while let Some(node) = done.pop() {
        knotted[node] = false;
        for dependant in &dependants[node] {
            open[*dependant] -= 1;
            if open[*dependant] == 0 && knotted[*dependant] {
                done.push(*dependant);
            }
        }
    }
}

fn reversed(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut reversed = vec![Vec::new(); edges.len()];
    for (node, needs) in edges.iter().enumerate() {
        for need in needs {
            reversed[*need].push(node);
        }
    }
    reversed
}

fn shortest(edges: &[Vec<usize>], knotted: &[bool], start: usize) -> Option<Vec<usize>> {
    let mut from = vec![None; edges.len()];
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for &need in &edges[node] {
            if need == start {
                let mut ring = vec![node];
                let mut at = node;
                while let Some(before) = from[at] {
                    ring.push(before);
                    at = before;
                }
                ring.reverse();
                return Some(ring);
            }
            if knotted[need] && from[need].is_none() {
                from[need] = Some(node);
                queue.push_back(need);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::rings;

    #[test]
    fn each_knot_gives_its_shortest_ring() {
        let edges = vec![vec![1], vec![2], vec![0], vec![0], vec![4], vec![], vec![7], vec![6]];
        assert_eq!(rings(&edges), [vec![0, 1, 2], vec![4], vec![6, 7]]);
    }

    #[test]
    fn a_graph_without_rings_has_none() {
        let edges: Vec<Vec<usize>> =
            (0..10_000_usize).map(|node| (0..node).rev().take(3).collect()).collect();
        assert!(rings(&edges).is_empty());
    }
}
