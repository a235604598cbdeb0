//! The operations of a server that was never started.
//!
//! Those of a language server are the same whatever server it is: the bridge offers them, and a test holds both lists against
//! each other. Those of an MCP server are its own.

use super::Operation;
use crate::manifest::Protocol;

/// An operation's name and its inputs; `?` marks what may be left out.
const LSP: &[(&str, &[&str])] = &[
    ("definition", PLACE),
    ("references", &["path", "line", "character", "text?", "include_declaration?"]),
    ("hover", PLACE),
    ("document_symbol", DOCUMENT),
    ("workspace_symbol", &["query"]),
    ("completion", PLACE),
    ("diagnostics", DOCUMENT),
    ("rename", &["path", "line", "character", "new_name", "text?"]),
    ("format", &["path", "text?", "tab_size?", "insert_spaces?"]),
    (
        "code_action",
        &["path", "line", "character", "end_line?", "end_character?", "text?", "only?"],
    ),
    ("request", &["method", "params?"]),
    ("close", &["path"]),
];
const PLACE: &[&str] = &["path", "line", "character", "text?"];
const DOCUMENT: &[&str] = &["path", "text?"];

/// What is known before the first start.
pub(super) fn operations(protocol: Protocol) -> Option<Vec<Operation>> {
    let known = LSP.iter().map(|(name, inputs)| Operation::with_inputs(*name, inputs));
    (protocol == Protocol::Lsp).then(|| known.collect())
}

#[cfg(test)]
mod tests {
    use super::LSP;

    /// The bridge's own list: neither crate knows the other.
    const OFFERED: &str = include_str!("../../../bridge/src/lsp/operations.rs");

    #[test]
    fn the_bridge_offers_the_same() {
        let table =
            OFFERED.split_once("OPERATIONS: ").and_then(|(_, rest)| rest.split_once("\n];"));
        let text: String = table.expect("a table").0.split_whitespace().collect();
        let known = LSP.iter().map(|(name, inputs)| {
            let written = inputs.iter().map(|input| format!("\"{input}\"")).collect::<Vec<_>>();
            let place = ["PLACE", "DOCUMENT"].map(|shared| format!("(\"{name}\",{shared},"));
            let own = format!("(\"{name}\",&[{}],", written.join(","));
            assert!(text.contains(&own) || place.iter().any(|one| text.contains(one)), "{name}");
        });
        assert_eq!(known.count(), text.matches("(\"").count());
    }
}
