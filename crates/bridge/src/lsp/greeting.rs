//! What is said first: who we are, what we can, where the project is.

use ipc::Value;

use crate::places::{Units, uri_of};
use crate::settings::Settings;
use crate::wire::json;

/// What the server said of itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Abilities {
    pub(super) units: Units,
    /// Whether it is asked for diagnostics; else it tells them.
    pub(super) pulls: bool,
    /// Whether it wants to hear of changes.
    pub(super) hears_changes: bool,
}

/// The inputs of `initialize`.
pub(super) fn initialize(settings: &Settings) -> Value {
    let uri = uri_of(&settings.workspace);
    let name = settings.workspace.rsplit('/').next().unwrap_or_default();
    let mut entries = vec![
        // A server under a sandbox cannot look at other processes, and would take this one for dead.
        ("processId", Value::None),
        (
            "clientInfo",
            json::map([("name", "symphony".into()), ("version", env!("CARGO_PKG_VERSION").into())]),
        ),
        ("rootPath", settings.workspace.as_str().into()),
        ("rootUri", uri.as_str().into()),
        ("workspaceFolders", folders(&uri, name)),
        ("capabilities", capabilities()),
    ];
    if matches!(&settings.initialization, Value::Map(given) if !given.is_empty()) {
        entries.push(("initializationOptions", settings.initialization.clone()));
    }
    Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// The one folder of the project.
pub(super) fn folders(uri: &str, name: &str) -> Value {
    Value::List(vec![json::map([("uri", uri.into()), ("name", name.into())])])
}

/// What the answer to `initialize` says.
pub(super) fn abilities(answer: &Value) -> Abilities {
    let Some(capabilities) = answer.get("capabilities") else { return Abilities::default() };
    let sync = capabilities.get("textDocumentSync");
    let kind = match sync {
        Some(Value::Map(_)) => sync.and_then(|sync| sync.get("change")),
        other => other,
    };
    let units = capabilities.get("positionEncoding").and_then(Value::as_text);
    Abilities {
        units: units.map(Units::named).unwrap_or_default(),
        pulls: capabilities.get("diagnosticProvider").is_some_and(|found| *found != Value::None),
        hears_changes: kind.and_then(Value::as_int) != Some(0),
    }
}

const CAPABILITIES: &str = r#"{
  "general": {"positionEncodings": ["utf-32", "utf-8", "utf-16"]},
  "window": {"workDoneProgress": true, "showMessage": {}, "showDocument": {"support": false}},
  "workspace": {
    "applyEdit": true,
    "configuration": true,
    "workspaceFolders": true,
    "didChangeConfiguration": {"dynamicRegistration": true},
    "symbol": {},
    "workspaceEdit": {"documentChanges": true}
  },
  "textDocument": {
    "synchronization": {},
    "publishDiagnostics": {"versionSupport": true, "relatedInformation": true, "codeDescriptionSupport": true},
    "diagnostic": {"relatedDocumentSupport": false},
    "definition": {"linkSupport": true},
    "references": {},
    "hover": {"contentFormat": ["markdown", "plaintext"]},
    "documentSymbol": {"hierarchicalDocumentSymbolSupport": true},
    "completion": {"completionItem": {"snippetSupport": false, "documentationFormat": ["markdown", "plaintext"]}},
    "formatting": {},
    "rename": {},
    "codeAction": {
      "isPreferredSupport": true,
      "dataSupport": true,
      "codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["", "quickfix", "refactor", "refactor.extract", "refactor.inline", "refactor.rewrite", "source", "source.organizeImports", "source.fixAll"]}}
    }
  }
}"#;

fn capabilities() -> Value {
    // Written above, so it can be read.
    json::parse(CAPABILITIES.as_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{abilities, capabilities};
    use crate::places::Units;
    use crate::wire::json;

    #[test]
    fn what_a_server_can_is_read_of_its_answer() {
        assert!(capabilities().get("general").is_some());
        let of = |text: &str| abilities(&json::parse(text.as_bytes()).unwrap());
        let able = of(
            r#"{"capabilities":{"positionEncoding":"utf-8","textDocumentSync":{"change":0},"diagnosticProvider":{}}}"#,
        );
        assert_eq!((able.units, able.pulls, able.hears_changes), (Units::Utf8, true, false));
        let plain = of(r#"{"capabilities":{"textDocumentSync":2}}"#);
        assert_eq!((plain.units, plain.pulls, plain.hears_changes), (Units::Utf16, false, true));
    }
}
