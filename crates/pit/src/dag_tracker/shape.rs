//! The immutable graph of a workflow: validated once, shared by every run of it.
//!
//! Needs and dependants lie in two flat arrays each (compressed rows), so that walking the edges of a node touches
//! one stretch of memory and allocates nothing. Valid by construction: no unknown need, no duplicate, no cycle. A need may be
//! soft: its node waits until it has ended, and runs however it ended.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use component::did_you_mean;

use crate::{PitError, PitResult};

/// Rows up to this length are searched, longer ones are kept in a set.
const SHORT: usize = 64;

/// Row `i` is `items[starts[i]..starts[i + 1]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rows {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Rows {
    fn row(&self, index: u32) -> &[u32] {
        let index = index as usize;
        match (self.starts.get(index), self.starts.get(index + 1)) {
            (Some(&from), Some(&to)) => &self.items[from as usize..to as usize],
            _ => &[],
        }
    }
}

/// A validated graph. Node indices are the positions in which the nodes were given.
#[derive(Debug)]
pub struct Shape {
    names: Vec<Arc<str>>,
    by_name: HashMap<Arc<str>, u32>,
    needs: Rows,
    dependants: Rows,
    /// Of the needs of a node, those that are soft; no rows where none is.
    soft: Rows,
    roots: Vec<u32>,
    digest: OnceLock<blake3::Hash>,
}

impl Shape {
    /// Validates a graph: each node's name with the names that it needs. A need that is named twice counts once.
    ///
    /// # Errors
    /// A node that stands twice, a need that is no node (with the nearest name), a cycle (with its ring), or more
    /// nodes or edges than 32 bits count.
    pub fn new<N: AsRef<str>, M: AsRef<str>>(graph: &[(N, Vec<M>)]) -> PitResult<Arc<Self>> {
        Self::with_soft(graph, &[], &[])
    }

    /// The same with soft needs, which may end in any way, and optional ones, which are soft and may be no nodes of the
    /// graph at all. What is named as an ordinary need too is one.
    ///
    /// # Errors
    /// As [`Self::new`]; soft or optional needs of what is no node.
    pub fn with_soft<N: AsRef<str>, M: AsRef<str>>(
        graph: &[(N, Vec<M>)],
        soft: &[(N, Vec<M>)],
        optional: &[(N, Vec<M>)],
    ) -> PitResult<Arc<Self>> {
        let all = || graph.iter().chain(soft).chain(optional);
        let edges: usize = all().map(|(_, needs)| needs.len()).sum();
        if u32::try_from(graph.len().max(edges)).is_err() {
            return Err(PitError::OverLimit {
                what: "graph",
                name: "nodes and edges".to_owned(),
                wanted: graph.len().max(edges) as u64,
                limit: u64::from(u32::MAX),
            });
        }
        let mut names = Vec::with_capacity(graph.len());
        let mut by_name = HashMap::with_capacity(graph.len());
        for (index, (name, _)) in graph.iter().enumerate() {
            let name: Arc<str> = Arc::from(name.as_ref());
            if by_name.insert(Arc::clone(&name), narrow(index)).is_some() {
                return Err(PitError::Duplicate { kind: "node", name: name.to_string() });
            }
            names.push(name);
        }
        let mut rows = Vec::with_capacity(graph.len());
        let find = |node: &str, need: &str| {
            by_name.get(need).copied().ok_or_else(|| PitError::UnknownNeed {
                node: node.to_owned(),
                need: need.to_owned(),
                similar: did_you_mean(need, names.iter().map(AsRef::as_ref)).map(str::to_owned),
            })
        };
        for (node, needs) in graph {
            let row: PitResult<Vec<u32>> =
                needs.iter().map(|need| find(node.as_ref(), need.as_ref())).collect();
            rows.push(row?);
        }
        let mut soft_rows = Vec::new();
        if !(soft.is_empty() && optional.is_empty()) {
            soft_rows.resize(rows.len(), Vec::new());
            let marked = soft.iter().map(|it| (it, true));
            for ((node, needs), must_be) in marked.chain(optional.iter().map(|it| (it, false))) {
                let node = node.as_ref();
                let at = by_name.get(node).copied().ok_or_else(|| PitError::NotFound {
                    kind: "node of the graph",
                    name: node.to_owned(),
                })? as usize;
                for need in needs {
                    let need = match by_name.get(need.as_ref()) {
                        Some(need) => *need,
                        None if must_be => find(node, need.as_ref())?,
                        None => continue,
                    };
                    if !rows[at].contains(&need) {
                        rows[at].push(need);
                        soft_rows[at].push(need);
                    }
                }
            }
        }
        Self::assemble(names, by_name, rows, soft_rows)
    }

    /// The same from indices: used when a shape is read back from the journal.
    pub(super) fn from_indices(
        names: Vec<Arc<str>>,
        rows: Vec<Vec<u32>>,
        soft: Vec<Vec<u32>>,
    ) -> PitResult<Arc<Self>> {
        let by_name = names.iter().zip(0u32..).map(|(name, at)| (Arc::clone(name), at)).collect();
        Self::assemble(names, by_name, rows, soft)
    }

    fn assemble(
        names: Vec<Arc<str>>,
        by_name: HashMap<Arc<str>, u32>,
        mut rows: Vec<Vec<u32>>,
        soft: Vec<Vec<u32>>,
    ) -> PitResult<Arc<Self>> {
        for row in &mut rows {
            // First mention wins the place. Most rows are short, and the quadratic test beats a set.
            let mut seen: Option<HashSet<u32>> = (row.len() > SHORT).then(HashSet::new);
            let mut kept = 0;
            for at in 0..row.len() {
                let first = match &mut seen {
                    Some(seen) => seen.insert(row[at]),
                    None => !row[..kept].contains(&row[at]),
                };
                if first {
                    row[kept] = row[at];
                    kept += 1;
                }
            }
            row.truncate(kept);
        }
        let needs = flatten(&rows);
        let soft = if soft.iter().all(Vec::is_empty) { Vec::new() } else { soft };
        let soft = flatten(&soft);
        let dependants = turn(&needs, names.len());
        let roots = (0..narrow(names.len())).filter(|&node| needs.row(node).is_empty()).collect();
        let digest = OnceLock::new();
        let shape = Self { names, by_name, needs, dependants, soft, roots, digest };
        match shape.ring() {
            Some(ring) => Err(PitError::Cycle { ring }),
            None => Ok(Arc::new(shape)),
        }
    }

    /// The number of nodes.
    pub fn len(&self) -> u32 {
        narrow(self.names.len())
    }

    /// Whether it has no node.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names, by index.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// The name of a node.
    pub fn name(&self, node: u32) -> Option<&Arc<str>> {
        self.names.get(node as usize)
    }

    /// The index of the node of that name.
    pub fn index(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// What a node needs, in the order as it was given. Empty for an index that does not exist.
    pub fn needs(&self, node: u32) -> &[u32] {
        self.needs.row(node)
    }

    /// The nodes that need this one, by index.
    pub fn dependants(&self, node: u32) -> &[u32] {
        self.dependants.row(node)
    }

    /// Of what a node needs, that which may end in any way.
    pub fn soft_needs(&self, node: u32) -> &[u32] {
        self.soft.row(node)
    }

    /// Whether any need is soft.
    pub(super) fn has_soft(&self) -> bool {
        !self.soft.items.is_empty()
    }

    /// The nodes that need nothing, by index.
    pub fn roots(&self) -> &[u32] {
        &self.roots
    }

    /// The hash of names and edges: the journal writes each shape once, whoever built it.
    pub(super) fn digest(&self) -> &blake3::Hash {
        self.digest.get_or_init(|| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&self.len().to_le_bytes());
            for (name, node) in self.names.iter().zip(0u32..) {
                hasher.update(&narrow(name.len()).to_le_bytes());
                hasher.update(name.as_bytes());
                let row = self.needs(node);
                hasher.update(&narrow(row.len()).to_le_bytes());
                for need in row {
                    hasher.update(&need.to_le_bytes());
                }
            }
            if self.has_soft() {
                for node in 0..self.len() {
                    let row = self.soft_needs(node);
                    hasher.update(&narrow(row.len()).to_le_bytes());
                    for need in row {
                        hasher.update(&need.to_le_bytes());
                    }
                }
            }
            hasher.finalize()
        })
    }

    /// One ring, if there is any: what is left after taking away all nodes whose needs are taken away.
    fn ring(&self) -> Option<Vec<String>> {
        let mut open: Vec<usize> = (0..self.len()).map(|node| self.needs(node).len()).collect();
        let mut queue = self.roots.clone();
        while let Some(node) = queue.pop() {
            for &dependant in self.dependants(node) {
                open[dependant as usize] -= 1;
                if open[dependant as usize] == 0 {
                    queue.push(dependant);
                }
            }
        }
        let first = narrow(open.iter().position(|&count| count > 0)?);
        // Every node that is left needs another that is left, so walking must come back to where it was.
        let mut walked = vec![first];
        let mut place: HashMap<u32, usize> = HashMap::from([(first, 0)]);
        loop {
            let here = walked[walked.len() - 1];
            let next = *self.needs(here).iter().find(|&&need| open[need as usize] > 0)?;
            if let Some(&from) = place.get(&next) {
                let mut ring = walked.split_off(from);
                // The same ring prints the same however it was entered: its first-given node leads.
                if let Some(lead) = (0..ring.len()).min_by_key(|&at| ring[at]) {
                    ring.rotate_left(lead);
                }
                return Some(
                    ring.iter().map(|&node| self.names[node as usize].to_string()).collect(),
                );
            }
            place.insert(next, walked.len());
            walked.push(next);
        }
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names && self.needs == other.needs && self.soft == other.soft
    }
}

impl Eq for Shape {}

/// Counts are checked against 32 bits where a graph enters.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn flatten(rows: &[Vec<u32>]) -> Rows {
    let mut starts = Vec::with_capacity(rows.len() + 1);
    let mut items = Vec::with_capacity(rows.iter().map(Vec::len).sum());
    starts.push(0);
    for row in rows {
        items.extend_from_slice(row);
        starts.push(narrow(items.len()));
    }
    Rows { starts, items }
}

/// Turns `node -> needs` into `node -> dependants`, by counting: the rows come out sorted by index.
fn turn(needs: &Rows, nodes: usize) -> Rows {
    let mut starts = vec![0u32; nodes + 1];
    for &need in &needs.items {
        starts[need as usize + 1] += 1;
    }
    for at in 0..nodes {
        starts[at + 1] += starts[at];
    }
    let mut filled = starts.clone();
    let mut items = vec![0u32; needs.items.len()];
    for node in 0..nodes {
        for &need in needs.row(narrow(node)) {
            let place = &mut filled[need as usize];
            items[*place as usize] = narrow(node);
            *place += 1;
        }
    }
    Rows { starts, items }
}

#[cfg(test)]
mod tests {
    use super::Shape;
    use crate::PitError;

    fn graph(text: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        text.iter()
            .map(|(name, needs)| {
                ((*name).to_owned(), needs.iter().map(|&need| need.to_owned()).collect())
            })
            .collect()
    }

    #[test]
    fn edges_are_found_from_both_ends() {
        let shape =
            Shape::new(&graph(&[("join", &["left", "right"]), ("left", &[]), ("right", &[])]))
                .unwrap();
        assert_eq!(shape.needs(0), [1, 2]);
        assert_eq!(shape.dependants(1), [0]);
        assert_eq!(shape.dependants(0), [0u32; 0]);
        assert_eq!(shape.roots(), [1, 2]);
        assert_eq!(shape.index("right"), Some(2));
        assert_eq!(shape.needs(99), [0u32; 0]);
    }

    #[test]
    fn a_need_named_twice_counts_once() {
        let shape = Shape::new(&graph(&[("a", &[]), ("b", &["a", "a"])])).unwrap();
        assert_eq!(shape.needs(1), [0]);
        assert_eq!(shape.dependants(0), [1]);
    }

    #[test]
    fn a_cycle_names_its_whole_ring_and_nothing_else() {
        let error = Shape::new(&graph(&[
            ("entry", &[]),
            ("tail", &["c"]),
            ("a", &["entry", "b"]),
            ("b", &["c"]),
            ("c", &["a"]),
        ]))
        .unwrap_err();
        assert_eq!(error.to_string(), "the graph has a cycle: `a` -> `b` -> `c` -> `a`");
        let own = Shape::new(&graph(&[("a", &["a"])])).unwrap_err();
        assert!(matches!(own, PitError::Cycle { ring } if ring == ["a"]));
    }

    #[test]
    fn unknown_needs_and_duplicates_are_refused_by_name() {
        let unknown = Shape::new(&graph(&[("parse", &[]), ("lint", &["prase"])])).unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "node `lint` needs `prase`, which is not a node of the graph"
        );
        assert_eq!(component::Hint::hints(&unknown), ["did you mean `parse`?"]);
        let twice = Shape::new(&graph(&[("a", &[]), ("a", &[])])).unwrap_err();
        assert_eq!(twice.to_string(), "the node `a` exists already");
    }

    #[test]
    fn soft_needs_are_edges_that_are_told_apart() {
        let nodes = graph(&[("a", &[]), ("b", &["a"]), ("c", &[])]);
        let soft = graph(&[("c", &["b"]), ("b", &["a"])]);
        let optional = graph(&[("b", &["absent", "c"])]);
        let ring = Shape::with_soft(&nodes, &soft, &optional).unwrap_err();
        assert_eq!(ring.to_string(), "the graph has a cycle: `b` -> `c` -> `b`");
        let shape = Shape::with_soft(&nodes, &soft, &graph(&[("b", &["absent"])])).unwrap();
        assert_eq!((shape.needs(1), shape.soft_needs(1)), ([0].as_slice(), [].as_slice()));
        assert_eq!((shape.needs(2), shape.soft_needs(2)), ([1].as_slice(), [1].as_slice()));
        assert_ne!(
            shape.digest(),
            Shape::new(&graph(&[("a", &[]), ("b", &["a"]), ("c", &["b"])])).unwrap().digest()
        );
        let unknown = Shape::with_soft(&nodes, &graph(&[("c", &["bb"])]), &[]).unwrap_err();
        assert_eq!(unknown.to_string(), "node `c` needs `bb`, which is not a node of the graph");
        assert!(Shape::with_soft(&nodes, &[], &graph(&[("d", &[])])).is_err());
    }

    #[test]
    fn equal_graphs_have_one_digest_and_different_ones_do_not() {
        let one = Shape::new(&graph(&[("a", &[]), ("b", &["a"])])).unwrap();
        let same = Shape::new(&graph(&[("a", &[]), ("b", &["a", "a"])])).unwrap();
        let other = Shape::new(&graph(&[("a", &[]), ("b", &[])])).unwrap();
        assert_eq!(one.digest(), same.digest());
        assert_ne!(one.digest(), other.digest());
    }
}
