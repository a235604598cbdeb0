//! What can be called of a language server, whatever server it is.
//!
//! Known before it starts: the catalogue has the same names. Invariant: each names its inputs; `?` marks what may be left out.

use ipc::{Input, Operation, Value};

use crate::wire::json;

/// An operation: its name, its inputs, what it does.
pub(super) const OPERATIONS: &[(&str, &[&str], &str)] = &[
    ("definition", PLACE, "Where that name is defined: a list of path and range."),
    (
        "references",
        &["path", "line", "character", "text?", "include_declaration?"],
        "Where it is used: a list of path and range.",
    ),
    ("hover", PLACE, "What is known of it: contents and range, or nothing."),
    ("document_symbol", DOCUMENT, "What the document defines."),
    ("workspace_symbol", &["query"], "What the project defines, by a part of its name."),
    ("completion", PLACE, "What may stand there: a list of items."),
    (
        "diagnostics",
        DOCUMENT,
        "What is wrong with the document; waits until the server has looked at it.",
    ),
    (
        "rename",
        &["path", "line", "character", "new_name", "text?"],
        "What another name would change: edits by path. Nothing is written.",
    ),
    (
        "format",
        &["path", "text?", "tab_size?", "insert_spaces?"],
        "What formatting would change: a list of edits. Nothing is written.",
    ),
    (
        "code_action",
        &["path", "line", "character", "end_line?", "end_character?", "text?", "only?"],
        "What can be done there.",
    ),
    (
        "request",
        &["method", "params?"],
        "Any other request, as the protocol has it: neither URIs nor positions are translated.",
    ),
    ("close", &["path"], "Forgets the document and a text that was not saved."),
];

const PLACE: &[&str] = &["path", "line", "character", "text?"];
const DOCUMENT: &[&str] = &["path", "text?"];

/// The same as a lane tells them.
pub(super) fn offered() -> Vec<Operation> {
    let operations = OPERATIONS.iter().map(|(name, inputs, doc)| Operation {
        name: (*name).to_owned(),
        inputs: inputs
            .iter()
            .map(|input| Input {
                name: input.trim_end_matches('?').to_owned(),
                required: !input.ends_with('?'),
            })
            .collect(),
        stream: false,
        beside: true,
        // Edits are results; any other request may do anything.
        reads: !matches!(*name, "request" | "close"),
        doc: (*doc).to_owned(),
    });
    operations.collect()
}

/// What each operation takes, as JSON Schemas.
pub(super) fn schemas() -> Value {
    let operations = OPERATIONS.iter().map(|(name, inputs, doc)| {
        let properties = inputs.iter().map(|input| {
            let input = input.trim_end_matches('?');
            (input.to_owned(), schema_of(input))
        });
        let required = inputs.iter().filter(|input| !input.ends_with('?'));
        let input = json::map([
            ("type", "object".into()),
            ("properties", Value::Map(properties.collect())),
            ("required", Value::List(required.map(|&input| input.into()).collect())),
            ("additionalProperties", false.into()),
        ]);
        ((*name).to_owned(), json::map([("input", input), ("description", (*doc).into())]))
    });
    Value::Map(operations.collect())
}

/// What an input is, which its name tells.
fn schema_of(input: &str) -> Value {
    let typed = |name: &str| ("type", name.into());
    match input {
        "line" | "character" | "end_line" | "end_character" | "tab_size" => {
            json::map([typed("integer"), ("minimum", 0.into())])
        }
        "include_declaration" | "insert_spaces" => json::map([typed("boolean")]),
        "only" => json::map([typed("array"), ("items", json::map([typed("string")]))]),
        "params" => Value::Map(Vec::new()),
        _ => json::map([typed("string")]),
    }
}
