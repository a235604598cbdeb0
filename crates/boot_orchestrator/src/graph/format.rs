//! The graph of a plan as text, Mermaid, Graphviz and JSON.
//!
//! Drawn from the plan that the executor runs, every edge included: optional ones, those of `Sequence[T]`, and late ones,
//! which are dashed because they order nothing. An edge goes from who needs to what is needed.

use std::fmt::Write as _;

use component::{NeedKind, Phase};
use serde_json::json;

use crate::graph::edges::{Edge, index};
use crate::graph::plan::Plan;

/// A way to write a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphFormat {
    /// For people: by phase, each component with what it needs.
    Text,
    /// A Mermaid flowchart.
    Mermaid,
    /// Graphviz.
    Dot,
    /// For programs.
    Json,
}

impl GraphFormat {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Text, Self::Mermaid, Self::Dot, Self::Json];

    /// Its name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Mermaid => "mermaid",
            Self::Dot => "dot",
            Self::Json => "json",
        }
    }

    /// The format of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }
}

impl Plan {
    /// The graph in this format; ends with a line break.
    pub fn graph(&self, format: GraphFormat) -> String {
        match format {
            GraphFormat::Text => self.text(),
            GraphFormat::Mermaid => self.mermaid(),
            GraphFormat::Dot => self.dot(),
            GraphFormat::Json => self.json(),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let widest = self.components().iter().map(|one| one.name().as_str().chars().count()).max();
        let width = widest.unwrap_or(0);
        for phase in Phase::ALL.into_iter().filter(|phase| !self.range(*phase).is_empty()) {
            let _ = writeln!(text, "{phase}");
            for place in self.range(phase) {
                let name = self.components()[place].name().as_str();
                let needs: Vec<String> = self
                    .needs(index(place))
                    .map(|edge| {
                        let need = self.components()[edge.to as usize].name();
                        mark(edge).map_or(need.to_string(), |mark| format!("{need} ({mark})"))
                    })
                    .collect();
                let line = if needs.is_empty() {
                    format!("  {name}")
                } else {
                    format!("  {name:width$}  needs {}", needs.join(", "))
                };
                let _ = writeln!(text, "{line}");
            }
        }
        text
    }

    fn mermaid(&self) -> String {
        let mut text = String::from("flowchart BT\n");
        for phase in Phase::ALL.into_iter().filter(|phase| !self.range(*phase).is_empty()) {
            let _ = writeln!(text, "  subgraph {phase}");
            for place in self.range(phase) {
                let name = self.components()[place].name().as_str().replace('"', "#quot;");
                let _ = writeln!(text, "    n{place}[\"{name}\"]");
            }
            text.push_str("  end\n");
        }
        for edge in self.edges() {
            let arrow = match (edge.kind, mark(edge)) {
                (NeedKind::Late, _) => "-. late .->".to_owned(),
                (_, Some(mark)) => format!("-- {mark} -->"),
                (_, None) => "-->".to_owned(),
            };
            let _ = writeln!(text, "  n{} {arrow} n{}", edge.from, edge.to);
        }
        text
    }

    fn dot(&self) -> String {
        let mut text = String::from("digraph symphony {\n  rankdir = BT;\n  node [shape = box];\n");
        for phase in Phase::ALL.into_iter().filter(|phase| !self.range(*phase).is_empty()) {
            let _ = writeln!(text, "  subgraph cluster_{phase} {{\n    label = \"{phase}\";");
            for place in self.range(phase) {
                let _ = writeln!(text, "    n{place} [label = {}];", quoted(&self.name(place)));
            }
            text.push_str("  }\n");
        }
        for edge in self.edges() {
            let style = match (edge.kind, mark(edge)) {
                (NeedKind::Late, _) => {
                    " [style = dashed, constraint = false, label = \"late\"]".to_owned()
                }
                (_, Some(mark)) => format!(" [label = \"{mark}\"]"),
                (_, None) => String::new(),
            };
            let _ = writeln!(text, "  n{} -> n{}{style};", edge.from, edge.to);
        }
        text.push_str("}\n");
        text
    }

    fn json(&self) -> String {
        let components: Vec<serde_json::Value> = self
            .components()
            .iter()
            .enumerate()
            .map(|(place, one)| {
                let descriptor = one.descriptor();
                let needs: Vec<serde_json::Value> = self
                    .needs(index(place))
                    .map(|edge| {
                        let need = &descriptor.needs[edge.need as usize];
                        json!({
                            "name": self.name(edge.to as usize),
                            "key": need.key.label(),
                            "kind": kind(edge.kind),
                            "file": need.location.as_ref().map(|at| &*at.file),
                            "line": need.location.as_ref().map(|at| at.line),
                        })
                    })
                    .collect();
                let provides: Vec<&str> =
                    descriptor.provides.iter().map(component::Key::label).collect();
                json!({
                    "name": descriptor.name.as_str(),
                    "phase": descriptor.phase.as_str(),
                    "wave": one.wave(),
                    "required": descriptor.required,
                    "provides": provides,
                    "needs": needs,
                    "file": descriptor.location.as_ref().map(|at| &*at.file),
                    "line": descriptor.location.as_ref().map(|at| at.line),
                })
            })
            .collect();
        let phases: Vec<&str> = Phase::ALL.into_iter().map(Phase::as_str).collect();
        format!("{}\n", json!({ "schema": 1, "phases": phases, "components": components }))
    }

    fn name(&self, place: usize) -> String {
        self.components()[place].name().to_string()
    }
}

const fn kind(kind: NeedKind) -> &'static str {
    match kind {
        NeedKind::One => "one",
        NeedKind::Optional => "optional",
        NeedKind::Every => "every",
        NeedKind::Late => "late",
    }
}

/// What is said of an edge that is not a plain one.
const fn mark(edge: &Edge) -> Option<&'static str> {
    match edge.kind {
        NeedKind::One => None,
        other => Some(kind(other)),
    }
}

/// A word in the quotes of Graphviz.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}
