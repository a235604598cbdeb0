//! `protocol`, `languages` and `[extension.server]`: what a program of a foreign protocol is told.
//!
//! Read with the rest of `[extension]`, handed to the bridge by the process host. Invariant: a value is taken over as it is
//! written, or its place is told.

use serde_json::{Map, Number, Value};

use crate::document::{Content, Element, Faults, Fields, Located};

/// What the program of a `command` speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// The protocol of lanes: it was written for Symphony.
    #[default]
    Lane,
    /// The language server protocol.
    Lsp,
    /// The model context protocol.
    Mcp,
}

impl Protocol {
    /// The words of manifests.
    pub(super) const WORDS: &[(&str, Self)] =
        &[("lane", Self::Lane), ("lsp", Self::Lsp), ("mcp", Self::Mcp)];

    /// The word in manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lane => "lane",
            Self::Lsp => "lsp",
            Self::Mcp => "mcp",
        }
    }

    /// Whether a bridge speaks for the program.
    pub const fn is_foreign(self) -> bool {
        !matches!(self, Self::Lane)
    }
}

/// What a server is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServerSettings {
    /// LSP: `initializationOptions`. MCP: capabilities of the client beside ours.
    pub initialization: Map<String, Value>,
    /// What it gets when it asks for its configuration.
    pub settings: Map<String, Value>,
    /// Variables that are set for it.
    pub environment: Vec<(String, String)>,
    /// Whether a server in Python is forked from an image that has its imports.
    pub warm: bool,
}

impl ServerSettings {
    pub(super) const KEYS: &[&str] = &["initialization", "settings", "environment", "warm"];

    pub(super) fn read(faults: &mut Faults, element: Element) -> Option<Self> {
        let mut fields = Fields::open(faults, element, "extension.server", Self::KEYS)?;
        let initialization = table(&mut fields, "initialization");
        let settings = table(&mut fields, "settings");
        let environment = environment(&mut fields);
        Some(Self {
            initialization,
            settings,
            environment,
            warm: fields.flag("warm").unwrap_or(false),
        })
    }
}

/// Holds the keys of servers against what is started.
pub(super) fn check(
    fields: &mut Fields<'_>,
    protocol: Option<&Located<Protocol>>,
    is_command: bool,
) {
    let spoken = protocol.map(|word| word.value).unwrap_or_default();
    if let Some(word) = protocol.filter(|word| word.value.is_foreign() && !is_command) {
        let message = format!("`protocol = \"{}\"` belongs to a `command`", spoken.as_str());
        fields.faults.error(&word.at, message).hint =
            Some("write `command = [\"the-server\", …]`, or leave `protocol` out".to_owned());
    }
    for (key, fits) in [("languages", spoken == Protocol::Lsp), ("server", spoken.is_foreign())] {
        let Some(place) = fields.place(key).filter(|_| !fits) else { continue };
        let wanted = if key == "languages" {
            "`protocol = \"lsp\"`"
        } else {
            "`protocol = \"lsp\"` or `\"mcp\"`"
        };
        let message = format!("`{}` belongs to {wanted}", fields.label(key));
        fields.faults.error(&place, message).hint =
            Some(format!("write {wanted}, or leave `{key}` out"));
    }
}

fn table(fields: &mut Fields<'_>, key: &str) -> Map<String, Value> {
    let label = fields.label(key);
    let Some(element) = fields.take(key) else { return Map::new() };
    let Content::Table(_) = element.content else {
        let message = format!("`{label}` must be a table, not {}", element.content.kind());
        fields.faults.error(&element.at, message);
        return Map::new();
    };
    match json(fields.faults, &label, element) {
        Value::Object(entries) => entries,
        _ => Map::new(),
    }
}

/// The same value in JSON; what JSON has no value for is told.
fn json(faults: &mut Faults, label: &str, element: Element) -> Value {
    let told = |faults: &mut Faults, what: &str| {
        faults.error(&element.at, format!("`{label}` holds {what}, which JSON does not have"));
        Value::Null
    };
    match element.content {
        Content::Null => Value::Null,
        Content::Bool(flag) => Value::Bool(flag),
        Content::Integer(number) => Value::Number(number.into()),
        Content::Text(text) => Value::String(text),
        Content::Float(number) => match Number::from_f64(number) {
            Some(number) => Value::Number(number),
            None => told(faults, "a number that is not finite"),
        },
        Content::Beyond(_) => told(faults, "a number beyond 64 bits"),
        Content::Date(_) => told(faults, "a date"),
        Content::List(items) => {
            Value::Array(items.into_iter().map(|item| json(faults, label, item)).collect())
        }
        Content::Table(entries) => Value::Object(
            entries
                .into_iter()
                .map(|(key, value)| (key.value, json(faults, label, value)))
                .collect(),
        ),
    }
}

fn environment(fields: &mut Fields<'_>) -> Vec<(String, String)> {
    let label = fields.label("environment");
    let Some(element) = fields.take("environment") else { return Vec::new() };
    let Content::Table(entries) = element.content else {
        let message = format!("`{label}` must be a table, not {}", element.content.kind());
        fields.faults.error(&element.at, message);
        return Vec::new();
    };
    let mut variables = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        let lawful = !name.is_empty() && !name.contains(['=', '\0']);
        match value.content {
            Content::Text(text) if lawful && !text.contains('\0') => {
                variables.push((name.value, text));
            }
            Content::Text(_) => {
                fields.faults.error(&name.at, format!("`{name}` cannot be a variable"));
            }
            other => {
                let message = format!("`{label}` must hold texts, not {}", other.kind());
                fields.faults.error(&value.at, message).hint =
                    Some("write it in quotes".to_owned());
            }
        }
    }
    variables
}
