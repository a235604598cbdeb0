//! What is wrong with a Melody: its own structure, and what it calls. All faults at once.

use std::collections::{HashMap, HashSet};

use component::{Code, Diagnostic, Related, Severity, Suggestions, missing_text};

use super::model::{Melody, Node, OnError};
use super::reference::Origin;
use crate::catalogue::{Known, Operation, Operations};
use crate::document::{Faults, Located, quoted};
use crate::ring::rings;

/// Checks a Melody against what can be called: its structure, then each call and its inputs.
pub fn check(melody: &Melody, operations: &dyn Operations) -> Vec<Diagnostic> {
    let mut faults = Faults::new(Code::MELODY_INVALID);
    faults.extend(structure(melody));
    let mut suggestions = Suggestions::default();
    for node in &melody.nodes {
        check_call(&mut faults, node, operations, &mut suggestions);
    }
    faults.into_sorted()
}

/// What is wrong with a Melody whoever answers its calls: names that stand twice, references to nothing, rings.
pub(super) fn structure(melody: &Melody) -> Vec<Diagnostic> {
    let mut faults = Faults::new(Code::MELODY_INVALID);
    let mut index: HashMap<&str, usize> = HashMap::with_capacity(melody.nodes.len());
    for (position, node) in melody.nodes.iter().enumerate() {
        if let Some(first) = index.get(node.id.as_str()) {
            let message = format!("two nodes are called `{}`", node.id);
            let first = melody.nodes[*first].id.at.clone();
            let fault = Diagnostic::error(Code::MELODY_INVALID, message)
                .at(node.id.at.clone())
                .related(Some(first), "the first")
                .related(Some(node.id.at.clone()), "the second")
                .hint("rename one of them");
            faults.push(fault);
        } else {
            index.insert(&node.id, position);
        }
    }
    let mut inputs: HashSet<&str> = HashSet::with_capacity(melody.inputs.len());
    for input in &melody.inputs {
        if !inputs.insert(&input.value) {
            faults.error(&input.at, format!("the input `{input}` stands twice"));
        }
    }
    let stand_ins: HashMap<&str, &Node> = melody
        .nodes
        .iter()
        .filter_map(|node| match &node.on_error {
            OnError::Fallback(id) => Some((id.value.as_str(), node)),
            _ => None,
        })
        .collect();
    let names = Names { melody, inputs, index, stand_ins };
    let mut suggestions = Suggestions::default();
    let edges: Vec<Vec<usize>> = melody
        .nodes
        .iter()
        .map(|node| needs(&mut faults, &names, node, &mut suggestions))
        .collect();
    for ring in rings(&edges) {
        if ring.len() > 1 {
            faults.push(ring_fault(melody, &ring));
        }
    }
    faults.into_sorted()
}

/// What a Melody has, by name.
struct Names<'a> {
    melody: &'a Melody,
    inputs: HashSet<&'a str>,
    index: HashMap<&'a str, usize>,
    stand_ins: HashMap<&'a str, &'a Node>,
}

/// The nodes that one node waits for; a reference to nothing is a fault, and so is one to itself.
fn needs(
    faults: &mut Faults,
    names: &Names<'_>,
    node: &Node,
    suggestions: &mut Suggestions,
) -> Vec<usize> {
    let Names { melody, inputs, index, stand_ins } = names;
    let mut needs = Vec::new();
    node.references(&mut |reference| match &reference.origin {
        Origin::Input(name) => {
            if !inputs.contains(name.as_str()) {
                let known = melody.inputs.iter().map(|input| input.value.as_str());
                let message = format!(
                    "`{}` uses the input `{name}`, which the Melody does not have",
                    node.id
                );
                faults.error(&reference.at, message).hint =
                    Some(match suggestions.nearest(name, known) {
                        Some(meant) => format!("did you mean `${{inputs.{meant}}}`?"),
                        None => format!("add `\"{name}\"` to `inputs` of `[melody]`"),
                    });
            }
        }
        Origin::Node(id) if *id == node.id.value => {
            faults.error(&reference.at, format!("`{id}` uses its own output"));
        }
        Origin::Node(id) => {
            if let Some(position) = index.get(id.as_str()) {
                if let Some(owner) = stand_ins.get(id.as_str()) {
                    let message = format!(
                        "`{}` uses `{id}`, which runs only when `{}` fails",
                        node.id, owner.id
                    );
                    faults.error(&reference.at, message).hint =
                        Some(format!("write `${{{}}}`: it is the value of `{id}` then", owner.id));
                }
                needs.push(*position);
            } else {
                let message = missing_text(&node.id.value, id);
                let is_input = inputs.contains(id.as_str());
                let known = melody.nodes.iter().map(|node| node.id.value.as_str());
                let fault = faults.error(&reference.at, message);
                fault.hint = if is_input {
                    Some(format!("did you mean `${{inputs.{id}}}`?"))
                } else {
                    suggestions
                        .nearest(id, known)
                        .map(|meant| format!("did you mean `${{{meant}}}`?"))
                };
            }
        }
    });
    if let OnError::Fallback(id) = &node.on_error {
        match index.get(id.as_str()) {
            _ if id.value == node.id.value => {
                faults.error(&id.at, format!("`{id}` is its own fallback"));
            }
            Some(position) => needs.push(*position),
            None => {
                let known = melody.nodes.iter().map(|node| node.id.value.as_str());
                let message =
                    format!("the fallback of `{}` is `{id}`, and there is no such node", node.id);
                faults.error(&id.at, message).hint =
                    suggestions.nearest(id, known).map(|meant| format!("did you mean `{meant}`?"));
            }
        }
    }
    needs.sort_unstable();
    needs.dedup();
    needs
}

fn ring_fault(melody: &Melody, ring: &[usize]) -> Diagnostic {
    let path: Vec<String> = ring.iter().map(|node| melody.nodes[*node].id.value.clone()).collect();
    let edges = ring.iter().enumerate().map(|(position, index)| {
        let (node, next) = (&melody.nodes[*index], &path[(position + 1) % path.len()]);
        let (location, verb) = edge(node, next);
        Related { location, text: format!("`{}` {verb} `{next}`", node.id) }
    });
    let edges = edges.collect();
    Diagnostic::cycle(Code::MELODY_INVALID, path, edges).hint("take one of these references out")
}

fn edge(node: &Node, next: &str) -> (Option<component::Location>, &'static str) {
    let mut place = None;
    node.references(&mut |reference| {
        if reference.origin == Origin::Node(next.to_owned()) && place.is_none() {
            place = Some(reference.at.clone());
        }
    });
    match (&place, &node.on_error) {
        (None, OnError::Fallback(id)) => (Some(id.at.clone()), "falls back to"),
        _ => (place, "uses"),
    }
}

fn check_call(
    faults: &mut Faults,
    node: &Node,
    operations: &dyn Operations,
    suggestions: &mut Suggestions,
) {
    let (target, name) = node.target_and_operation();
    let Some(known) = operations.target(target) else {
        let message = format!("`{}` calls `{}`, and there is no `{target}`", node.id, node.call);
        let hint = match suggestions.nearest(target, operations.targets().into_iter()) {
            Some(meant) => format!("did you mean `{meant}.{name}`?"),
            None => "name an extension of the system or a member of the Pit".to_owned(),
        };
        let fault = Diagnostic::error(Code::UNKNOWN_OPERATION, message);
        faults.push(fault.at(node.call.at.clone()).hint(hint));
        return;
    };
    let Known::Operations(all) = known else {
        let message = format!(
            "`{}` calls `{}`, whose operations are not known before its first start",
            node.id, node.call
        );
        let unverified = Diagnostic::error(Code::UNVERIFIED, message).severity(Severity::Note);
        let hint = format!("list `operations` in the manifest of `{target}`");
        faults.push(unverified.at(node.call.at.clone()).hint(hint));
        return;
    };
    let Some(operation) = known.operation(name) else {
        let names: Vec<&str> = all.iter().map(|operation| operation.name.as_str()).collect();
        let message = format!(
            "`{}` calls `{}`, and `{target}` has no operation `{name}`",
            node.id, node.call
        );
        let hint = match suggestions.nearest(name, names.iter().copied()) {
            Some(meant) => format!("did you mean `{target}.{meant}`?"),
            None if names.is_empty() => format!("`{target}` has no operations"),
            None => format!("its operations: {}", quoted(&names)),
        };
        let fault = Diagnostic::error(Code::UNKNOWN_OPERATION, message);
        faults.push(fault.at(node.call.at.clone()).hint(hint));
        return;
    };
    check_inputs(faults, node, operation, suggestions);
}

fn check_inputs(
    faults: &mut Faults,
    node: &Node,
    operation: &Operation,
    suggestions: &mut Suggestions,
) {
    let Some(inputs) = &operation.inputs else { return };
    for (given, _) in &node.with {
        if !inputs.iter().any(|input| input.name == given.value) {
            unknown_input(faults, node, given, inputs, suggestions);
        }
    }
    for input in inputs {
        if input.required && !node.with.iter().any(|(given, _)| given.value == input.name) {
            let message =
                format!("`{}` lacks the input `{}` of `{}`", node.id, input.name, node.call);
            faults.error(&node.call.at, message).hint =
                Some(format!("add `{} = …` to `with`", input.name));
        }
    }
}

fn unknown_input(
    faults: &mut Faults,
    node: &Node,
    given: &Located<String>,
    inputs: &[crate::catalogue::OperationInput],
    suggestions: &mut Suggestions,
) {
    let known: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    let message =
        format!("`{}` gives `{given}` to `{}`, which has no such input", node.id, node.call);
    faults.error(&given.at, message).hint =
        Some(match suggestions.nearest(given, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if known.is_empty() => "it takes no inputs".to_owned(),
            None => format!("its inputs: {}", quoted(&known)),
        });
}
