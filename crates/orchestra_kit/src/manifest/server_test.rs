//! What a manifest says of a server, and what is said of one that says it wrongly.

use super::{Manifest, Protocol};
use crate::document::Source;

fn read(text: &str) -> Result<Manifest, Vec<String>> {
    Manifest::from_source(&Source::from_text("/w/Symphony.toml", text))
        .map_err(|faults| faults.into_iter().map(|fault| fault.message).collect())
}

#[test]
fn a_server_is_told_what_its_manifest_says() {
    let text = r#"
[extension]
name = "types"
protocol = "lsp"
command = ["ty", "server"]
languages = ["python"]
[extension.server]
warm = true
[extension.server.settings.python.analysis]
mode = "strict"
paths = ["a", 1, 0.5, true]
[extension.server.environment]
LEVEL = "debug"
"#;
    let extension = read(text).unwrap().extension.unwrap();
    assert_eq!(extension.protocol, Protocol::Lsp);
    assert_eq!(extension.languages[0].value, "python");
    let settings = serde_json::Value::Object(extension.server.settings).to_string();
    assert_eq!(settings, r#"{"python":{"analysis":{"mode":"strict","paths":["a",1,0.5,true]}}}"#);
    assert_eq!(extension.server.environment, [("LEVEL".to_owned(), "debug".to_owned())]);
    assert!(extension.server.warm && extension.server.initialization.is_empty());
    let plain = read("[extension]\nname = \"a\"\ncommand = [\"a\"]\n").unwrap();
    assert_eq!(plain.extension.unwrap().protocol, Protocol::Lane);
}

#[test]
fn what_does_not_go_together_is_told() {
    let server = |more: &str| {
        let text = format!("[extension]\nname = \"a\"\n{more}\n");
        read(&text).unwrap_err().join("; ")
    };
    let command = "command = [\"a\"]\n";
    assert_eq!(
        server("entry = \"a:b\"\nprotocol = \"mcp\""),
        "`protocol = \"mcp\"` belongs to a `command`"
    );
    assert_eq!(
        server(&format!("{command}protocol = \"lps\"")),
        "`extension.protocol` must be one of `lane`, `lsp` and `mcp`, not `lps`"
    );
    assert_eq!(
        server(&format!("{command}protocol = \"mcp\"\nlanguages = [\"c\"]")),
        "`extension.languages` belongs to `protocol = \"lsp\"`"
    );
    assert_eq!(
        server(&format!("{command}[extension.server]\nwarm = true")),
        "`extension.server` belongs to `protocol = \"lsp\"` or `\"mcp\"`"
    );
    let lsp = format!("{command}protocol = \"lsp\"\n[extension.server]\n");
    assert_eq!(
        server(&format!("{lsp}setting = {{}}")),
        "unknown key `setting` in `extension.server`"
    );
    assert_eq!(
        server(&format!("{lsp}settings = {{ a = [1979-05-27] }}")),
        "`extension.server.settings` holds a date, which JSON does not have"
    );
    assert_eq!(
        server(&format!("{lsp}initialization = {{ a = nan }}")),
        "`extension.server.initialization` holds a number that is not finite, which JSON does not have"
    );
    assert_eq!(
        server(&format!("{lsp}environment = {{ A = 1 }}")),
        "`extension.server.environment` must hold texts, not a whole number"
    );
}
