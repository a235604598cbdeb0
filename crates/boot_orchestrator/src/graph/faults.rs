//! The faults of a graph as diagnostics: what is wrong, where, and what to do.
//!
//! `bind`, `cycles` and `plan` call these; each is a pure function of descriptors.

use component::{
    Code, Descriptor, Diagnostic, Need, NeedKind, Related, Remedy, Suggestions, missing_text,
};

use crate::graph::edges::{Edge, Graph};

/// Names told in one list.
const NAMES: usize = 16;

/// One name twice.
pub(crate) fn duplicate(first: &Descriptor, second: &Descriptor) -> Diagnostic {
    let name = &second.name;
    let fault =
        Diagnostic::error(Code::DUPLICATE_COMPONENT, format!("two components are named `{name}`"))
            .at(second.location.clone())
            .hint("remove one of them, or give one another name");
    let mut fault = fault;
    fault.path = vec![name.to_string()];
    if first.location.is_some() || second.location.is_some() {
        fault = fault
            .related(first.location.clone(), format!("`{name}`"))
            .related(second.location.clone(), format!("`{name}` again"));
    }
    fault
}

/// Nobody provides what is needed, or nobody of that name.
pub(crate) fn missing(
    all: &[&Descriptor],
    consumer: &Descriptor,
    need: &Need,
    unnamed: &[u32],
    suggestions: &mut Suggestions,
) -> Diagnostic {
    let (name, key) = (&consumer.name, need.key.label());
    let message = match &need.named {
        Some(named) => {
            format!("`{name}` needs `{key}` named `{named}`, and nobody of that name provides it")
        }
        None => missing_text(name.as_str(), key),
    };
    let mut fault = Diagnostic::error(Code::MISSING_DEPENDENCY, message)
        .at(need.location.clone().or_else(|| consumer.location.clone()));
    fault.path = vec![name.to_string(), key.to_owned()];
    fault.hint(missing_hint(all, consumer, need, unnamed, suggestions))
}

fn missing_hint(
    all: &[&Descriptor],
    consumer: &Descriptor,
    need: &Need,
    unnamed: &[u32],
    suggestions: &mut Suggestions,
) -> String {
    let key = need.key.label();
    if unnamed.is_empty() {
        match &need.remedy {
            Remedy::Unknown => {}
            Remedy::Register => return format!("add `{key}` to `components`"),
            Remedy::Mark(class) => {
                return format!("`{class}` would fit: mark it with `@component(provides={key})`");
            }
            Remedy::TooLate => {
                return "only what was there at boot can be injected; add it to `components`"
                    .to_owned();
            }
        }
    }
    if let Some(named) = &need.named {
        let names = unnamed.iter().map(|index| all[*index as usize].name.as_str());
        if let Some(near) = suggestions.nearest(named.as_str(), names.clone()) {
            return format!("did you mean the one named `{near}`?");
        }
        if !unnamed.is_empty() {
            return format!("`{key}` is provided by {}", list(names));
        }
    }
    // A label that is the same word is another identity (two classes of one name): no help to anyone.
    let labels = all
        .iter()
        .filter(|other| other.name != consumer.name)
        .flat_map(|other| other.provides.iter().map(component::Key::label))
        .filter(|label| *label != key);
    match suggestions.nearest(key, labels) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("register a component that provides `{key}`"),
    }
}

/// Several provide what exactly one may.
pub(crate) fn ambiguous(
    all: &[&Descriptor],
    consumer: &Descriptor,
    need: &Need,
    providers: &[u32],
) -> Diagnostic {
    let (name, key) = (&consumer.name, need.key.label());
    let count = providers.len();
    let names = providers.iter().map(|index| all[*index as usize].name.as_str());
    let mut fault = Diagnostic::error(
        Code::AMBIGUOUS_DEPENDENCY,
        format!(
            "`{name}` needs one `{key}`, and {count} provide it: {}",
            list(names)
        ),
    )
    .at(need.location.clone().or_else(|| consumer.location.clone()))
    .hint(format!(
        "say which one by its name (`Annotated[{key}, \"{}\"]`), or take them all (`Sequence[{key}]`)",
        all[providers[0] as usize].name
    ));
    let providers: Vec<&Descriptor> =
        providers.iter().take(NAMES).map(|index| all[*index as usize]).collect();
    fault.path = std::iter::once(name)
        .chain(providers.iter().map(|one| &one.name))
        .map(ToString::to_string)
        .collect();
    fault = fault.related(need.location.clone(), format!("`{name}` needs `{key}`"));
    for provider in providers {
        let text = format!("`{}` provides `{key}`", provider.name);
        fault = fault.related(provider.location.clone(), text);
    }
    fault
}

/// Names in backticks; the first of them where they are many.
fn list<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMES);
    let told: Vec<String> = names.take(NAMES).map(|name| format!("`{name}`")).collect();
    let told = told.join(", ");
    if more == 0 { told } else { format!("{told} and {more} more") }
}

/// Something of a later phase is needed.
pub(crate) fn phase_order(graph: &Graph<'_>, edge: &Edge, directory: Option<&str>) -> Diagnostic {
    let consumer = graph.descriptors[edge.from as usize];
    let provider = graph.descriptors[edge.to as usize];
    let need = &consumer.needs[edge.need as usize];
    let mut fault = Diagnostic::error(
        Code::PHASE_ORDER,
        format!(
            "`{}` of phase `{}` needs `{}` of the later phase `{}`",
            consumer.name, consumer.phase, provider.name, provider.phase
        ),
    )
    .at(need.location.clone().or_else(|| consumer.location.clone()))
    .hint(format!(
        "start `{}` in phase `{}`, or {}",
        consumer.name,
        provider.phase,
        late_edit(consumer, need, directory)
    ));
    fault.path = vec![consumer.name.to_string(), provider.name.to_string()];
    fault
}

/// Components need each other in a ring; `late` is the edge that is cheapest to make late.
pub(crate) fn cycle(
    graph: &Graph<'_>,
    ring: &[Edge],
    late: &Edge,
    directory: Option<&str>,
) -> Diagnostic {
    let name = |index: u32| graph.descriptors[index as usize].name.to_string();
    let path: Vec<String> = ring.iter().map(|edge| name(edge.from)).collect();
    let edges = ring.iter().map(|edge| {
        let consumer = graph.descriptors[edge.from as usize];
        let need = &consumer.needs[edge.need as usize];
        let location = need.location.clone().or_else(|| consumer.location.clone());
        Related { location, text: edge_text(graph, edge) }
    });
    let consumer = graph.descriptors[late.from as usize];
    let need = &consumer.needs[late.need as usize];
    let fault = Diagnostic::cycle(Code::DEPENDENCY_CYCLE, path, edges.collect());
    fault.hint(late_edit(consumer, need, directory))
}

fn edge_text(graph: &Graph<'_>, edge: &Edge) -> String {
    let consumer = graph.descriptors[edge.from as usize];
    let provider = graph.descriptors[edge.to as usize];
    let key = consumer.needs[edge.need as usize].key.label();
    if key == provider.name.as_str() {
        format!("`{}` needs `{key}`", consumer.name)
    } else {
        format!("`{}` needs `{key}`, provided by `{}`", consumer.name, provider.name)
    }
}

/// The edit that makes an edge late, as exact as what is known of it.
pub(crate) fn late_edit(consumer: &Descriptor, need: &Need, directory: Option<&str>) -> String {
    let key = need.key.label();
    let place = need
        .location
        .as_ref()
        .map(|at| format!(" at {}", at.relative_to(directory)))
        .unwrap_or_default();
    let Some(parameter) = need.parameter.as_deref().filter(|_| need.kind != NeedKind::Every) else {
        return format!("make the need of `{}` for `{key}` late{place}", consumer.name);
    };
    match &need.named {
        Some(named) => format!("declare `{parameter}: Annotated[Late[{key}], \"{named}\"]`{place}"),
        None => format!("declare `{parameter}: Late[{key}]`{place}"),
    }
}
