//! Melodies: what is said about each kind of bad input, in TOML and in JSON.

use std::fmt::Write as _;

use component::Diagnostic;

use super::{Melody, OnError, check};
use crate::catalogue::{Known, MemberOperations, Operation};
use crate::document::Source;

fn read(file: &str, text: &str) -> Result<Melody, Vec<Diagnostic>> {
    Melody::from_source(&Source::from_text(format!("/w/{file}"), text))
}

fn told(faults: &[Diagnostic]) -> String {
    let mut text = String::new();
    for fault in faults {
        let column = fault.location.as_ref().map_or(0, |at| at.column);
        writeln!(text, "{} (column {column}, {})", fault.text(Some("/w")), fault.code).unwrap();
    }
    text
}

fn faults(text: &str) -> String {
    told(&read("m.toml", text).unwrap_err())
}

/// What a Melody of these nodes is told when it is checked.
fn checked(nodes: &str) -> String {
    let melody =
        read("m.toml", &format!("[melody]\nname = \"m\"\ninputs = [\"path\"]\n{nodes}")).unwrap();
    let known = MemberOperations(vec![
        (
            "reader".to_owned(),
            Known::Operations(vec![
                Operation::with_inputs("read", &["path", "limit?"]),
                Operation::with_inputs("nothing", &[]),
            ]),
        ),
        ("fresh".to_owned(), Known::Unverified),
        ("outline".to_owned(), Known::Operations(vec![Operation::named("outline")])),
    ]);
    told(&check(&melody, &known))
}

const REVIEW: &str = r#"
[melody]
name = "review-file"
inputs = ["path"]
[[node]]
id = "read"
call = "reader.read"
with = { path = "${inputs.path}" }
[[node]]
id = "outline"
call = "outline.outline"
with = { source = "${read}" }
retry = 3
on_error = "skip"
timeout = "2s"
[[node]]
id = "other"
call = "outline.outline"
on_error = { fallback = "spare" }
[[node]]
id = "third"
call = "outline.outline"
on_error = "fallback"
fallback = "spare"
[[node]]
id = "spare"
call = "reader.nothing"
"#;

#[test]
fn a_melody_says_what_the_design_says() {
    let melody = read("m.toml", REVIEW).unwrap();
    assert_eq!((melody.name.as_str(), melody.nodes.len()), ("review-file", 5));
    let outline = &melody.nodes[1];
    assert_eq!((outline.retry, &outline.on_error), (3, &OnError::Skip));
    assert_eq!(outline.timeout, Some(std::time::Duration::from_secs(2)));
    assert_eq!(outline.target_and_operation(), ("outline", "outline"));
    for node in &melody.nodes[2..4] {
        assert!(matches!(&node.on_error, OnError::Fallback(id) if id.value == "spare"));
    }
}

#[test]
fn json_says_the_same_as_toml() {
    let json = r#"{
  "melody": {"name": "m", "inputs": ["path"]},
  "node": [
    {"id": "read", "call": "reader.read", "with": {"path": "${inputs.path}", "deep": [1, 2.5, null, true, {"k": "é"}]}},
    {"id": "outline", "call": "outline.outline", "with": {"source": "${read}"}, "retry": 3}
  ]
}"#;
    let melody = read("m.json", json).unwrap();
    assert_eq!(melody.nodes[1].call.at.to_string(), "/w/m.json:5:31");
    assert_eq!(melody.nodes[1].retry, 3);
    assert!(
        matches!(&melody.nodes[0].with[1].1, super::Template::Plain(ipc::Value::List(items)) if items.len() == 5)
    );
}

#[test]
fn json_faults_have_their_places() {
    let shown = |text: &str| told(&read("m.json", text).unwrap_err());
    insta::assert_snapshot!(shown("{\n  \"melody\": {\"name\": \"m\",}\n}"), @"
    error: this is not JSON: key must be a string
      m.json:2 (column 26, melody-invalid)
    ");
    insta::assert_snapshot!(shown("{\n  \"melody\": {\"name\": \"m\", \"name\": \"n\"},\n  \"nodes\": []\n}"), @"
    error: `name` stands twice
      m.json:2 (column 27, melody-invalid)
    ");
    insta::assert_snapshot!(shown("{\n  \"melody\": {\"name\": 3},\n  \"nodes\": []\n}"), @"
    error: the Melody has no nodes
      m.json:1
    hint: write `[[node]]` with an `id` and a `call` (column 1, melody-invalid)
    error: `melody.name` must be text, not a whole number
      m.json:2 (column 22, melody-invalid)
    error: unknown key `nodes`
      m.json:3
    hint: did you mean `node`? (column 3, melody-invalid)
    ");
    insta::assert_snapshot!(shown(""), @"
    error: this is not JSON: EOF while parsing a value
      m.json:1 (column 1, melody-invalid)
    ");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    insta::assert_snapshot!(shown(&deep), @"
    error: values are nested too deep
      m.json:1 (column 65, melody-invalid)
    ");
}

#[test]
fn what_is_missing_or_of_a_wrong_type_is_told() {
    insta::assert_snapshot!(faults(""), @"
    error: the file lacks `melody`
      m.toml:1
    hint: a Melody begins with `[melody]` and its `name` (column 1, melody-invalid)
    ");
    insta::assert_snapshot!(faults("[melody]\nname = \"m\"\n"), @"
    error: the Melody has no nodes
      m.toml:1
    hint: write `[[node]]` with an `id` and a `call` (column 1, melody-invalid)
    ");
    insta::assert_snapshot!(faults("[melody]\ninputs = [\"a\", \"a\"]\n[node]\nid = \"a\"\n"), @r#"
    error: `melody` lacks `name`
      m.toml:1
    hint: write `name = "…"` (column 1, melody-invalid)
    error: `node` must be a list of tables, not a table
      m.toml:3
    hint: write `[[node]]` (column 1, melody-invalid)
    "#);
    let nodes = r#"
[melody]
name = "m"
[[node]]
id = "inputs"
call = "read"
wiht = { path = "x" }
[[node]]
id = "a b"
call = "reader.read"
with = "x"
retry = "3"
on_error = "ignore"
[[node]]
with = { text = "${", other = "${a.}", inputs = "${inputs}" }
timeout = 3
[[node]]
id = "c"
call = "reader.read"
on_error = "skip"
fallback = "d"
[[node]]
id = "d"
call = "reader.read"
on_error = { fall = "c" }
"#;
    insta::assert_snapshot!(faults(nodes), @r#"
    error: `inputs` means the inputs of the run
      m.toml:5
    hint: choose another `id` (column 6, melody-invalid)
    error: `read` is not a call
      m.toml:6
    hint: write `extension.operation` (column 8, melody-invalid)
    error: unknown key `wiht` in `node`
      m.toml:7
    hint: did you mean `with`? (column 1, melody-invalid)
    error: `a b` cannot name a node
      m.toml:9
    hint: use letters, digits, `-` and `_` (column 6, melody-invalid)
    error: `node.with` must be a table, not text
      m.toml:11 (column 8, melody-invalid)
    error: `node.retry` must be a whole number, not text
      m.toml:12 (column 9, melody-invalid)
    error: `node.on_error` cannot be `ignore`
      m.toml:13
    hint: write `"fail"`, `"skip"` or `{ fallback = "node id" }` (column 12, melody-invalid)
    error: `node` lacks `id`
      m.toml:14
    hint: write `id = "…"` (column 1, melody-invalid)
    error: `node` lacks `call`
      m.toml:14
    hint: write `call = "extension.operation"` (column 1, melody-invalid)
    error: `}` is missing after `${`
      m.toml:15
    hint: a literal `${` is written `$${` (column 17, melody-invalid)
    error: `${a.}` is not a reference
      m.toml:15
    hint: a literal `${` is written `$${` (column 31, melody-invalid)
    error: `${inputs}` names no input; write `${inputs.name}`
      m.toml:15
    hint: a literal `${` is written `$${` (column 49, melody-invalid)
    error: `node.timeout` must be text like `30s`, not a whole number
      m.toml:16 (column 11, melody-invalid)
    error: `on_error = "skip"` and `fallback` exclude each other
      m.toml:21
    hint: keep one of them (column 12, melody-invalid)
    error: `node.on_error` lacks `fallback`
      m.toml:25
    hint: write `"fail"`, `"skip"` or `{ fallback = "node id" }` (column 12, melody-invalid)
    error: unknown key `fall` in `node.on_error`
      m.toml:25
    hint: known keys: `fallback` (column 14, melody-invalid)
    "#);
}

#[test]
fn references_to_nothing_are_told() {
    let text = r#"
[melody]
name = "m"
inputs = ["path", "path"]
[[node]]
id = "read"
call = "reader.read"
with = { path = "${inputs.pth}", again = "${path}" }
[[node]]
id = "read"
call = "reader.read"
[[node]]
id = "self"
call = "reader.read"
with = { text = "so ${self.key} says", all = ["${raed}"] }
on_error = { fallback = "self" }
[[node]]
id = "owner"
call = "reader.read"
on_error = { fallback = "spare" }
[[node]]
id = "spare"
call = "reader.read"
on_error = { fallback = "absent" }
[[node]]
id = "user"
call = "reader.read"
with = { value = "${spare}" }
"#;
    insta::assert_snapshot!(faults(text), @"
    error: the input `path` stands twice
      m.toml:4 (column 19, melody-invalid)
    error: `read` uses the input `pth`, which the Melody does not have
      m.toml:8
    hint: did you mean `${inputs.path}`? (column 17, melody-invalid)
    error: `read` needs `path`, and nobody provides it
      m.toml:8
    hint: did you mean `${inputs.path}`? (column 42, melody-invalid)
    error: two nodes are called `read`
      m.toml:6   the first
      m.toml:10  the second
    hint: rename one of them (column 6, melody-invalid)
    error: `self` uses its own output
      m.toml:15 (column 17, melody-invalid)
    error: `self` needs `raed`, and nobody provides it
      m.toml:15
    hint: did you mean `${read}`? (column 47, melody-invalid)
    error: `self` is its own fallback
      m.toml:16 (column 25, melody-invalid)
    error: the fallback of `spare` is `absent`, and there is no such node
      m.toml:24 (column 25, melody-invalid)
    error: `user` uses `spare`, which runs only when `owner` fails
      m.toml:28
    hint: write `${owner}`: it is the value of `spare` then (column 18, melody-invalid)
    ");
}

#[test]
fn a_ring_prints_the_place_of_every_edge() {
    let text = r#"
[melody]
name = "m"
[[node]]
id = "a"
call = "reader.read"
with = { path = "${b}" }
[[node]]
id = "b"
call = "reader.read"
on_error = { fallback = "c" }
[[node]]
id = "c"
call = "reader.read"
with = { deep = { er = ["${a.key}"] } }
"#;
    insta::assert_snapshot!(faults(text), @"
    error: dependency cycle: `a` -> `b` -> `c` -> `a`
      m.toml:7   `a` uses `b`
      m.toml:11  `b` falls back to `c`
      m.toml:15  `c` uses `a`
    hint: take one of these references out (column 17, melody-invalid)
    ");
}

#[test]
fn calls_that_nobody_answers_are_told() {
    let nodes = r#"
[[node]]
id = "a"
call = "raeder.read"
with = { path = "${inputs.path}" }
[[node]]
id = "b"
call = "reader.raed"
[[node]]
id = "c"
call = "nobody-at-all.x"
[[node]]
id = "d"
call = "fresh.anything"
[[node]]
id = "e"
call = "reader.something"
"#;
    insta::assert_snapshot!(checked(nodes), @"
    error: `a` calls `raeder.read`, and there is no `raeder`
      m.toml:7
    hint: did you mean `reader.read`? (column 8, unknown-operation)
    error: `b` calls `reader.raed`, and `reader` has no operation `raed`
      m.toml:11
    hint: did you mean `reader.read`? (column 8, unknown-operation)
    error: `c` calls `nobody-at-all.x`, and there is no `nobody-at-all`
      m.toml:14
    hint: name an extension of the system or a member of the Pit (column 8, unknown-operation)
    note: `d` calls `fresh.anything`, whose operations are not known before its first start
      m.toml:17
    hint: list `operations` in the manifest of `fresh` (column 8, unverified)
    error: `e` calls `reader.something`, and `reader` has no operation `something`
      m.toml:20
    hint: did you mean `reader.nothing`? (column 8, unknown-operation)
    ");
}

#[test]
fn inputs_that_lack_or_do_not_exist_are_told() {
    let nodes = r#"
[[node]]
id = "a"
call = "reader.read"
with = { pathh = "${inputs.path}" }
[[node]]
id = "b"
call = "reader.nothing"
with = { x = 1 }
[[node]]
id = "c"
call = "outline.outline"
with = { anything = 1 }
"#;
    insta::assert_snapshot!(checked(nodes), @"
    error: `a` lacks the input `path` of `reader.read`
      m.toml:7
    hint: add `path = …` to `with` (column 8, melody-invalid)
    error: `a` gives `pathh` to `reader.read`, which has no such input
      m.toml:8
    hint: did you mean `path`? (column 10, melody-invalid)
    error: `b` gives `x` to `reader.nothing`, which has no such input
      m.toml:12
    hint: it takes no inputs (column 10, melody-invalid)
    ");
}

#[test]
fn a_lawful_melody_is_told_nothing() {
    let nodes =
        "[[node]]\nid = \"a\"\ncall = \"reader.read\"\nwith = { path = \"${inputs.path}\" }\n";
    assert_eq!(checked(nodes), "");
}

#[test]
fn a_file_that_cannot_be_read_is_told_by_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let shown = |name: &str| {
        let faults = Melody::read(&root.join(name)).unwrap_err();
        told(&faults).replace(root.to_str().unwrap(), "FOLDER")
    };
    std::fs::write(root.join("latin.toml"), b"[melody]\nname = \"\xff\"\n").unwrap();
    insta::assert_snapshot!(shown("absent.toml"), @"
    error: `FOLDER/absent.toml` does not exist
      FOLDER/absent.toml:1
    hint: check the path; it is relative to the working directory (column 1, melody-invalid)
    ");
    insta::assert_snapshot!(shown(""), @"
    error: `FOLDER/` is a folder, not a file
      FOLDER/:1
    hint: name a file (column 1, melody-invalid)
    ");
    insta::assert_snapshot!(shown("latin.toml"), @"
    error: `FOLDER/latin.toml` is not UTF-8: byte 0xff
      FOLDER/latin.toml:2
    hint: save the file as UTF-8 (column 9, melody-invalid)
    ");
    std::fs::write(root.join("good.toml"), REVIEW).unwrap();
    assert_eq!(Melody::read(&root.join("good.toml")).unwrap().file, Some(root.join("good.toml")));
}

#[test]
fn a_number_that_would_arrive_as_another_is_refused_at_its_place() {
    let node = "[melody]\nname = \"m\"\n[[node]]\nid = \"n\"\ncall = \"a.b\"\n";
    for number in [
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "0x8000000000000000",
        "0o1000000000000000000000",
        "0b1000000000000000000000000000000000000000000000000000000000000000",
        "12_345_678_901_234_567_890_123",
        "1e999",
        "-1e999",
    ] {
        let told = faults(&format!("{node}with = {{ deep = [{{ x = {number} }}] }}\n"));
        assert!(told.contains(&format!("`{number}` is a number beyond 64 bits")), "{told}");
        assert!(told.contains("m.toml:6") && told.contains("(column 24,"), "{told}");
    }
    for number in ["9223372036854775808", "-9223372036854775809", "12345678901234567890123"] {
        let text = format!(
            r#"{{"melody": {{"name": "m"}}, "node": [{{"id": "n", "call": "a.b", "with": {{"x": {number}}}}}]}}"#
        );
        let told = told(&read("m.json", &text).unwrap_err());
        assert!(told.contains(&format!("`{number}` is a number beyond 64 bits")), "{told}");
    }
    for number in [
        "9223372036854775807",
        "-9223372036854775808",
        "0x7FFFFFFFFFFFFFFF",
        "1e308",
        "inf",
        "-inf",
    ] {
        read("m.toml", &format!("{node}with = {{ x = {number} }}\n")).unwrap();
    }
}
