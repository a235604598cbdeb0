//! A Melody's file, TOML or JSON, into a [`Melody`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use component::{Code, Diagnostic};

use super::model::{Melody, Node, OnError, Template};
use super::reference::{INPUTS, Piece, pieces};
use crate::document::{Content, Element, Faults, Fields, Located, Source};
use crate::manifest;

const FILE_KEYS: &[&str] = &["melody", "node"];
const MELODY_KEYS: &[&str] = &["name", "inputs"];
const NODE_KEYS: &[&str] = &["id", "call", "with", "retry", "on_error", "fallback", "timeout"];

impl Melody {
    /// Reads a Melody: JSON when the file's name ends with `.json`, else TOML.
    ///
    /// # Errors
    /// Every fault of the file, sorted by place. What it calls is not looked at; see [`super::check`].
    pub fn read(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let source = Source::read(path, Code::MELODY_INVALID).map_err(|fault| vec![fault])?;
        let mut melody = Self::from_source(&source)?;
        melody.file = Some(PathBuf::from(&**source.file()));
        Ok(melody)
    }

    /// Reads a Melody from a text in memory.
    ///
    /// # Errors
    /// As [`Melody::read`].
    pub fn from_source(source: &Source) -> Result<Self, Vec<Diagnostic>> {
        let is_json = Path::new(&**source.file())
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let root = if is_json {
            source.json(Code::MELODY_INVALID)?
        } else {
            source.toml(Code::MELODY_INVALID)?
        };
        let mut faults = Faults::new(Code::MELODY_INVALID);
        let melody = file(&mut faults, root);
        match melody {
            Some(melody) if faults.errors() == 0 => {
                let found = super::check::structure(&melody);
                if found.is_empty() { Ok(melody) } else { Err(found) }
            }
            _ => Err(faults.into_sorted()),
        }
    }
}

fn file(faults: &mut Faults, root: Element) -> Option<Melody> {
    let mut fields = Fields::open(faults, root, "", FILE_KEYS)?;
    let at = fields.at().clone();
    let nodes = fields.take("node");
    let Some(head) = fields.take("melody") else {
        fields.lacks("melody", "a Melody begins with `[melody]` and its `name`");
        return None;
    };
    let mut head = Fields::open(fields.faults, head, "melody", MELODY_KEYS)?;
    if head.place("name").is_none() {
        head.lacks("name", "write `name = \"…\"`");
    }
    let name = head.text("name");
    let inputs = head.texts("inputs").unwrap_or_default();
    let mut melody = Melody {
        file: None,
        name: name.unwrap_or_else(|| Located::new(String::new(), at.clone())),
        at,
        inputs,
        nodes: Vec::new(),
    };
    match nodes {
        Some(Element { content: Content::List(items), .. }) if !items.is_empty() => {
            melody.nodes = items.into_iter().filter_map(|item| node(faults, item)).collect();
        }
        Some(Element { at, content: Content::List(_) }) => {
            faults.error(&at, "the Melody has no nodes");
        }
        Some(other) => {
            let message = format!("`node` must be a list of tables, not {}", other.content.kind());
            faults.error(&other.at, message).hint = Some("write `[[node]]`".to_owned());
        }
        None => {
            faults.error(&melody.at, "the Melody has no nodes").hint =
                Some("write `[[node]]` with an `id` and a `call`".to_owned());
        }
    }
    Some(melody)
}

fn node(faults: &mut Faults, element: Element) -> Option<Node> {
    let mut fields = Fields::open(faults, element, "node", NODE_KEYS)?;
    for (key, hint) in
        [("id", "write `id = \"…\"`"), ("call", "write `call = \"extension.operation\"`")]
    {
        if fields.place(key).is_none() {
            fields.lacks(key, hint);
        }
    }
    let id = fields.text("id");
    if let Some(id) = &id {
        if id.value == INPUTS {
            fields.faults.error(&id.at, "`inputs` means the inputs of the run").hint =
                Some("choose another `id`".to_owned());
        } else if !manifest::is_name(id) {
            fields.faults.error(&id.at, format!("`{id}` cannot name a node")).hint =
                Some("use letters, digits, `-` and `_`".to_owned());
        }
    }
    let call = fields.text("call");
    if let Some(call) = &call {
        let lawful = call
            .split_once('.')
            .is_some_and(|(target, operation)| manifest::is_name(target) && !operation.is_empty());
        if !lawful {
            fields.faults.error(&call.at, format!("`{call}` is not a call")).hint =
                Some("write `extension.operation`".to_owned());
        }
    }
    let with = fields.take("with").map(|element| inputs(fields.faults, element));
    let retry = fields.number("retry", 0).unwrap_or(0);
    let timeout: Option<Duration> = fields.parsed("timeout", "`30s`", manifest::duration);
    let on_error = on_error(&mut fields);
    Some(Node { id: id?, call: call?, with: with.unwrap_or_default(), retry, on_error, timeout })
}

fn inputs(faults: &mut Faults, element: Element) -> Vec<(Located<String>, Template)> {
    let Content::Table(entries) = element.content else {
        let message = format!("`node.with` must be a table, not {}", element.content.kind());
        faults.error(&element.at, message);
        return Vec::new();
    };
    entries.into_iter().filter_map(|(key, value)| Some((key, template(faults, value)?))).collect()
}

/// `on_error = "fail" | "skip" | { fallback = "id" }`, or `fallback = "id"` beside it.
fn on_error(fields: &mut Fields<'_>) -> OnError {
    let beside = fields.text("fallback");
    let Some(element) = fields.take("on_error") else {
        return beside.map_or(OnError::Fail, OnError::Fallback);
    };
    let hint = "write `\"fail\"`, `\"skip\"` or `{ fallback = \"node id\" }`";
    match element.content {
        Content::Text(word) => match (word.as_str(), beside) {
            ("fallback", Some(id)) => OnError::Fallback(id),
            ("fail", None) => OnError::Fail,
            ("skip", None) => OnError::Skip,
            ("fail" | "skip", Some(id)) => {
                let message = format!("`on_error = \"{word}\"` and `fallback` exclude each other");
                fields.faults.error(&id.at, message).hint = Some("keep one of them".to_owned());
                OnError::Fail
            }
            _ => {
                let message = format!("`node.on_error` cannot be `{word}`");
                fields.faults.error(&element.at, message).hint = Some(hint.to_owned());
                OnError::Fail
            }
        },
        Content::Table(_) => {
            let Some(mut inner) =
                Fields::open(fields.faults, element, "node.on_error", &["fallback"])
            else {
                return OnError::Fail;
            };
            if inner.place("fallback").is_none() {
                inner.lacks("fallback", hint);
            }
            inner.text("fallback").map_or(OnError::Fail, OnError::Fallback)
        }
        other => {
            let message = format!("`node.on_error` cannot be {}", other.kind());
            fields.faults.error(&element.at, message).hint = Some(hint.to_owned());
            OnError::Fail
        }
    }
}

fn template(faults: &mut Faults, element: Element) -> Option<Template> {
    let value = match element.content {
        Content::Text(text) => match pieces(&text, &element.at) {
            Ok(mut pieces) => match pieces.pop() {
                Some(Piece::Reference(reference)) if pieces.is_empty() => {
                    return Some(Template::Reference(reference));
                }
                Some(Piece::Text(text)) if pieces.is_empty() => ipc::Value::Text(text),
                last => {
                    pieces.extend(last);
                    return Some(Template::Text(pieces));
                }
            },
            Err(why) => {
                faults.error(&element.at, why).hint =
                    Some("a literal `${` is written `$${`".to_owned());
                return None;
            }
        },
        Content::Integer(number) => ipc::Value::Int(number),
        Content::Float(number) => ipc::Value::Float(number),
        Content::Beyond(number) => {
            let message =
                format!("`{number}` is a number beyond 64 bits, and would arrive as another");
            faults.error(&element.at, message).hint =
                Some("write it as text, and let the operation read it".to_owned());
            return None;
        }
        Content::Bool(flag) => ipc::Value::Bool(flag),
        Content::Null => ipc::Value::None,
        Content::Date(date) => ipc::Value::Text(date),
        Content::List(items) => {
            let items: Vec<Template> =
                items.into_iter().filter_map(|item| template(faults, item)).collect();
            return Some(list(items));
        }
        Content::Table(entries) => {
            let entries: Vec<(String, Template)> = entries
                .into_iter()
                .filter_map(|(key, value)| Some((key.value, template(faults, value)?)))
                .collect();
            return Some(table(entries));
        }
    };
    Some(Template::Plain(value))
}

/// A list of plain values is a plain value.
fn list(items: Vec<Template>) -> Template {
    if !items.iter().all(|item| matches!(item, Template::Plain(_))) {
        return Template::List(items);
    }
    let plain = items.into_iter().filter_map(|item| match item {
        Template::Plain(value) => Some(value),
        _ => None,
    });
    Template::Plain(ipc::Value::List(plain.collect()))
}

fn table(entries: Vec<(String, Template)>) -> Template {
    if !entries.iter().all(|(_, value)| matches!(value, Template::Plain(_))) {
        return Template::Table(entries);
    }
    let plain = entries.into_iter().filter_map(|(key, value)| match value {
        Template::Plain(value) => Some((key, value)),
        _ => None,
    });
    Template::Plain(ipc::Value::Map(plain.collect()))
}
