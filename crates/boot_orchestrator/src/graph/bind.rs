//! Each need of a registry bound to its providers, in linear time: keys are interned once.
//!
//! `Plan::of` calls it. What cannot be bound becomes a fault and no edge, so that one pass finds everything that is wrong.

use std::collections::HashMap;

use component::{ComponentName, Descriptor, Diagnostic, NeedKind, Suggestions};

use crate::graph::edges::{Edge, Graph, index};
use crate::graph::faults;

/// Who is called what, and who provides what.
struct Providers<'a> {
    names: HashMap<&'a ComponentName, u32>,
    /// Ascending.
    keys: HashMap<&'a str, Vec<u32>>,
}

/// Binds every need, and tells what cannot be bound.
pub(crate) fn bind(descriptors: Vec<&Descriptor>) -> (Graph<'_>, Vec<Diagnostic>) {
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
    let mut graph = Graph { edges: Vec::with_capacity(descriptors.len() * 2), descriptors };
    let mut suggestions = Suggestions::default();
    for (from, repeated) in repeated.into_iter().enumerate() {
        bind_needs(&mut graph, from, repeated, &providers, &mut suggestions, &mut found);
    }
    (graph, found)
}

fn bind_needs(
    graph: &mut Graph<'_>,
    from: usize,
    repeated: bool,
    providers: &Providers<'_>,
    suggestions: &mut Suggestions,
    found: &mut Vec<Diagnostic>,
) {
    let descriptor = graph.descriptors[from];
    for (number, need) in (0_u32..).zip(&descriptor.needs) {
        let unnamed: &[u32] = providers.keys.get(need.key.id()).map_or(&[], Vec::as_slice);
        let chosen = match &need.named {
            None => unnamed,
            Some(name) => {
                let place = providers.names.get(name).and_then(|at| unnamed.binary_search(at).ok());
                place.map_or(&[][..], |place| &unnamed[place..=place])
            }
        };
        let fault = match (need.kind, chosen) {
            (NeedKind::Every, _) | (NeedKind::Optional, []) | (_, [_]) => None,
            (_, []) => {
                let all = &graph.descriptors[..];
                Some(faults::missing(all, descriptor, need, unnamed, suggestions))
            }
            (_, several) => Some(faults::ambiguous(&graph.descriptors, descriptor, need, several)),
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
            graph.edges.push(Edge { from, to, need: number, kind: need.kind });
        }
    }
}
