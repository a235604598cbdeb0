//! The faults of a declared graph, found while it is compiled.
//!
//! `component_graph!` calls [`graph_faults`] in a constant and panics there with its text. Everything here is a `const fn`,
//! so there is no allocation and no iterator; the words are those of the planner of `boot_orchestrator`, and a
//! test of that crate holds the two against each other.

use crate::{Declared, Phase};

/// Bytes of a text. What does not fit is cut off: the first faults are the ones to mend first.
const CAPACITY: usize = 4096;

/// The faults of a declared graph, one in each line; empty where there are none.
#[derive(Clone, Copy)]
pub struct DeclaredFaults {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl DeclaredFaults {
    const fn new() -> Self {
        Self { bytes: [0; CAPACITY], length: 0 }
    }

    /// The lines.
    pub const fn as_str(&self) -> &str {
        let (text, _) = self.bytes.split_at(self.length);
        match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => {
                // A letter of several bytes was cut at the end.
                let (whole, _) = text.split_at(error.valid_up_to());
                match std::str::from_utf8(whole) {
                    Ok(text) => text,
                    Err(_) => "",
                }
            }
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    const fn push(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() && self.length < CAPACITY {
            self.bytes[self.length] = bytes[at];
            self.length += 1;
            at += 1;
        }
        self
    }

    /// Begins a line.
    const fn line(self, text: &str) -> Self {
        if self.length == 0 { self.push(text) } else { self.push("\n").push(text) }
    }

    const fn name(self, name: &str) -> Self {
        self.push("`").push(name).push("`")
    }
}

/// The phase of that name; the last one where [`phase_faults`] has something to say.
pub const fn declared_phase(name: &str) -> Phase {
    let mut at = 0;
    while at + 1 < Phase::ALL.len() && !same(name, Phase::ALL[at].as_str()) {
        at += 1;
    }
    Phase::ALL[at]
}

/// Whether there is a phase of that name.
pub const fn phase_faults(name: &str) -> DeclaredFaults {
    let mut text = DeclaredFaults::new();
    if same(name, declared_phase(name).as_str()) {
        return text;
    }
    text = text.line("there is no phase ").name(name).push("; the phases are ");
    let mut at = 0;
    while at < Phase::ALL.len() {
        text = text.push(if at == 0 { "" } else { ", " }).push(Phase::ALL[at].as_str());
        at += 1;
    }
    text
}

/// The key that was written, or the name.
pub const fn declared_key(name: &'static str, written: &[&'static str]) -> &'static str {
    if written.is_empty() { name } else { written[0] }
}

/// How many needs were written.
pub const fn count_needs(all: &[Declared]) -> usize {
    let (mut count, mut at) = (0, 0);
    while at < all.len() {
        count += all[at].needs.len();
        at += 1;
    }
    count
}

/// Who needs whom, by number.
#[derive(Clone, Copy)]
struct Edge {
    from: usize,
    to: usize,
}

/// Every fault of a graph of `N` components with `E` needs: names and keys that stand twice, needs that nobody meets,
/// needs of a later phase, and for each knot of components the shortest ring through its first one.
pub const fn graph_faults<const N: usize, const E: usize>(all: &[Declared]) -> DeclaredFaults {
    let mut text = DeclaredFaults::new();
    let mut repeated = [false; N];
    let mut at = 0;
    while at < N {
        let mut before = 0;
        while before < at {
            if same(all[at].name, all[before].name) && !repeated[at] {
                text = text.line("two components are named ").name(all[at].name);
                repeated[at] = true;
            } else if same(all[at].key, all[before].key) && !repeated[at] && !repeated[before] {
                text = text.line("two components provide ").name(all[at].key);
            }
            before += 1;
        }
        at += 1;
    }
    let mut edges = [Edge { from: N, to: N }; E];
    let mut bound = 0;
    at = 0;
    while at < N {
        let mut need = 0;
        while need < all[at].needs.len() {
            let to = labelled(all, &repeated, all[at].needs[need]);
            if to == N {
                text = text.line("").name(all[at].name).push(" needs ").name(all[at].needs[need]);
                text = text.push(", and nobody provides it");
            } else if !repeated[at] {
                edges[bound] = Edge { from: at, to };
                bound += 1;
                if all[to].phase as u8 > all[at].phase as u8 {
                    text = text.line("").name(all[at].name);
                    text = text.push(" of phase ").name(all[at].phase.as_str());
                    text = text.push(" needs ").name(all[to].name);
                    text = text.push(" of the later phase ").name(all[to].phase.as_str());
                }
            }
            need += 1;
        }
        at += 1;
    }
    circles::<N, E>(all, &edges, bound, text)
}

/// The number of the component that a need names; `N` where there is none.
const fn labelled<const N: usize>(all: &[Declared], repeated: &[bool; N], label: &str) -> usize {
    let mut at = 0;
    while at < N {
        if same(all[at].label, label) && !repeated[at] {
            return at;
        }
        at += 1;
    }
    N
}

const fn circles<const N: usize, const E: usize>(
    all: &[Declared],
    edges: &[Edge; E],
    bound: usize,
    mut text: DeclaredFaults,
) -> DeclaredFaults {
    let mut left = untangled::<N, E>(edges, bound);
    let mut start = 0;
    while start < N {
        if left[start] {
            let reached = reached_from::<N, E>(edges, bound, start);
            // Where nothing leads back the component only hangs on a circle.
            if reached.last[start] != E {
                text = text.line("dependency cycle: ");
                text = ring::<N, E>(all, edges, &reached, start, text);
                text = text.push(" -> ").name(all[start].name);
                let mut other = start;
                while other < N {
                    // The same knot: reached from here, and leads back.
                    if reached.last[other] != E {
                        let back = reached_from::<N, E>(edges, bound, other);
                        left[other] = left[other] && back.last[start] == E;
                    }
                    other += 1;
                }
            }
        }
        start += 1;
    }
    text
}

/// What is left when everyone is taken out, again and again, whose needs are out: circles, and what hangs on them.
const fn untangled<const N: usize, const E: usize>(edges: &[Edge; E], bound: usize) -> [bool; N] {
    let mut left = [true; N];
    let mut changed = true;
    while changed {
        changed = false;
        let mut waits = [false; N];
        let mut edge = 0;
        while edge < bound {
            if left[edges[edge].to] {
                waits[edges[edge].from] = true;
            }
            edge += 1;
        }
        let mut at = 0;
        while at < N {
            changed = changed || left[at] && !waits[at];
            left[at] = left[at] && waits[at];
            at += 1;
        }
    }
    left
}

/// For each component the edge by which a search first came to it; `E` where it did not.
#[derive(Clone, Copy)]
struct Reached<const N: usize> {
    last: [usize; N],
}

/// Searches in breadth, by needs in their order, so that the ways found are the shortest.
const fn reached_from<const N: usize, const E: usize>(
    edges: &[Edge; E],
    bound: usize,
    start: usize,
) -> Reached<N> {
    let mut reached = Reached { last: [E; N] };
    let mut queue = [start; N];
    let (mut head, mut tail) = (0, 1);
    while head < tail {
        let node = queue[head];
        head += 1;
        let mut edge = 0;
        while edge < bound {
            let to = edges[edge].to;
            if edges[edge].from == node && reached.last[to] == E {
                reached.last[to] = edge;
                if to != start {
                    queue[tail] = to;
                    tail += 1;
                }
            }
            edge += 1;
        }
    }
    reached
}

/// The names of the ring, each once, from its start on.
const fn ring<const N: usize, const E: usize>(
    all: &[Declared],
    edges: &[Edge; E],
    reached: &Reached<N>,
    start: usize,
    mut text: DeclaredFaults,
) -> DeclaredFaults {
    let mut names = [start; N];
    let mut length = 0;
    let mut at = start;
    loop {
        at = edges[reached.last[at]].from;
        names[length] = at;
        length += 1;
        if at == start {
            break;
        }
    }
    while length > 0 {
        length -= 1;
        text = text.push(if names[length] == start { "" } else { " -> " });
        text = text.name(all[names[length]].name);
    }
    text
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}
