//! Which of the two eras a server is of, and what it offers.
//!
//! Called once, before the host is greeted. Invariant: `server/discover` is asked first, and on whatever error, and on silence,
//! the handshake of the versions before it follows; whichever succeeds first decides.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use ipc::{Input, Operation, Value};

use crate::error::BridgeError;
use crate::settings::Settings;
use crate::wire::{Connection, NoAnswer, json};

/// The version without a handshake.
pub(super) const MODERN: &str = "2026-07-28";
/// The newest one with a handshake.
const LEGACY: &str = "2025-11-25";
/// So long a server may be silent before it is greeted in the older way too.
const SILENCE: Duration = Duration::from_secs(1);
/// A server that says nothing for so long says nothing at all; the host's own limit of a start is shorter, as a rule.
const LONGEST: Duration = Duration::from_secs(300);
/// So many pages of a list, and so many tools.
const PAGES: usize = 1000;
const TOOLS: usize = 10_000;

/// How a server is spoken with.
#[derive(Debug, Clone, Default)]
pub(super) struct Era {
    /// What each request carries, where there was no handshake.
    pub(super) meta: Option<Value>,
    capabilities: Value,
}

/// What the server calls us by.
fn client_info() -> Value {
    json::map([("name", "symphony".into()), ("version", env!("CARGO_PKG_VERSION").into())])
}

/// What we can do for the server.
fn client_capabilities(settings: &Settings) -> Value {
    let mut entries = match &settings.initialization {
        Value::Map(entries) => entries.clone(),
        _ => Vec::new(),
    };
    if !entries.iter().any(|(name, _)| name == "roots") {
        entries.push(("roots".to_owned(), Value::Map(Vec::new())));
    }
    Value::Map(entries)
}

fn modern_meta(settings: &Settings) -> Value {
    json::map([
        ("io.modelcontextprotocol/protocolVersion", MODERN.into()),
        ("io.modelcontextprotocol/clientInfo", client_info()),
        ("io.modelcontextprotocol/clientCapabilities", client_capabilities(settings)),
    ])
}

/// Settles the era. `probe`: whether the newer one is asked for.
pub(super) fn settle(
    connection: &Arc<Connection>,
    settings: &Settings,
    probe: bool,
) -> Result<Era, BridgeError> {
    let (sender, answers) = mpsc::channel();
    let ask = |method: &'static str, params: Value| {
        let sender = sender.clone();
        let done = Box::new(move |end| drop(sender.send((method, end))));
        connection.ask(connection.number(), method, params, done);
    };
    let meta = modern_meta(settings);
    let until = Instant::now() + LONGEST;
    let mut greeted = !probe;
    let mut open = 0;
    let initialize = || {
        let params = json::map([
            ("protocolVersion", LEGACY.into()),
            ("capabilities", client_capabilities(settings)),
            ("clientInfo", client_info()),
        ]);
        ask("initialize", params);
    };
    if probe {
        ask("server/discover", json::map([("_meta", meta.clone())]));
        open += 1;
    } else {
        initialize();
        open += 1;
    }
    loop {
        let limit = if greeted { until.saturating_duration_since(Instant::now()) } else { SILENCE };
        match answers.recv_timeout(limit) {
            Ok(("server/discover", Ok(found))) if speaks_modern(&found) => {
                let capabilities = found.get("capabilities").cloned().unwrap_or_default();
                return Ok(Era { meta: Some(meta), capabilities });
            }
            Ok(("initialize", Ok(found))) => {
                connection.tell("notifications/initialized", Value::Map(Vec::new()))?;
                let capabilities = found.get("capabilities").cloned().unwrap_or_default();
                return Ok(Era { meta: None, capabilities });
            }
            Ok((_, Err(NoAnswer::Ended))) => return Err(NoAnswer::Ended.into()),
            Ok((method, end)) => {
                open -= 1;
                if !greeted {
                    greeted = true;
                    initialize();
                    open += 1;
                } else if open == 0 {
                    let why = match end {
                        Err(why) => why.to_string(),
                        Ok(_) => "it speaks no version that is known here".to_owned(),
                    };
                    return Err(BridgeError::Start { why: format!("`{method}`: {why}") });
                }
            }
            Err(RecvTimeoutError::Timeout) if !greeted => {
                greeted = true;
                initialize();
                open += 1;
            }
            Err(_) => {
                let method = "initialize".to_owned();
                return Err(NoAnswer::Late { method, after: LONGEST }.into());
            }
        }
    }
}

fn speaks_modern(found: &Value) -> bool {
    match found.get("supportedVersions") {
        Some(Value::List(versions)) => {
            versions.iter().any(|version| version.as_text() == Some(MODERN))
        }
        _ => false,
    }
}

/// What is called, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tool,
    Resource,
    Prompt,
}

/// Everything that a server offers.
pub(super) struct Offers {
    pub(super) offered: Vec<(Kind, Operation)>,
    /// What it says of each tool, by the tool's name.
    pub(super) schemas: Value,
}

/// Asks for everything that the server offers.
pub(super) fn offers(connection: &Connection, era: &Era) -> Result<Offers, BridgeError> {
    let has = |name: &str| era.capabilities.get(name).is_some_and(|found| *found != Value::None);
    let mut offered = Vec::new();
    let mut schemas = Vec::new();
    let mut names = HashSet::new();
    if has("tools") {
        for tool in list_tools(connection, era)? {
            let Some(operation) = operation_of(&tool) else { continue };
            if names.insert(operation.name.clone()) {
                schemas.push((operation.name.clone(), schema_of(tool)));
                offered.push((Kind::Tool, operation));
            }
        }
    }
    for (capability, kind, name, inputs, doc) in [
        (
            "resources",
            Kind::Resource,
            "read_resource",
            &["uri"][..],
            "Reads a resource of the server.",
        ),
        (
            "prompts",
            Kind::Prompt,
            "get_prompt",
            &["name", "arguments?"][..],
            "Gets a prompt of the server.",
        ),
    ] {
        if has(capability) {
            let inputs = inputs.iter().map(|input| Input {
                name: input.trim_end_matches('?').to_owned(),
                required: !input.ends_with('?'),
            });
            let operation = Operation {
                name: name.to_owned(),
                inputs: inputs.collect(),
                stream: false,
                beside: true,
                reads: true,
                doc: doc.to_owned(),
            };
            if names.insert(operation.name.clone()) {
                offered.push((kind, operation));
            }
        }
    }
    Ok(Offers { offered, schemas: Value::Map(schemas) })
}

/// A tool's own words, under the names that every guest uses.
fn schema_of(mut tool: Value) -> Value {
    let said = [
        ("inputSchema", "input"),
        ("outputSchema", "output"),
        ("description", "description"),
        ("title", "title"),
        ("annotations", "annotations"),
    ];
    let entries = said.into_iter().filter_map(|(theirs, ours)| {
        json::take(&mut tool, theirs).map(|value| (ours.to_owned(), value))
    });
    Value::Map(entries.collect())
}

fn list_tools(connection: &Connection, era: &Era) -> Result<Vec<Value>, BridgeError> {
    let mut tools = Vec::new();
    let mut cursor = None;
    for _ in 0..PAGES {
        let mut params = Vec::new();
        params.extend(cursor.take().map(|cursor| ("cursor".to_owned(), cursor)));
        params.extend(era.meta.clone().map(|meta| ("_meta".to_owned(), meta)));
        let mut page = connection.ask_now("tools/list", Value::Map(params), LONGEST)?;
        if let Some(Value::List(found)) = json::take(&mut page, "tools") {
            tools.extend(found);
        }
        tools.truncate(TOOLS);
        cursor = json::take(&mut page, "nextCursor").filter(|next| *next != Value::None);
        if cursor.is_none() || tools.len() == TOOLS {
            break;
        }
    }
    Ok(tools)
}

fn operation_of(tool: &Value) -> Option<Operation> {
    let name = tool.get("name")?.as_text().filter(|name| !name.is_empty())?.to_owned();
    let schema = tool.get("inputSchema");
    let required: HashSet<&str> = match schema.and_then(|schema| schema.get("required")) {
        Some(Value::List(names)) => names.iter().filter_map(Value::as_text).collect(),
        _ => HashSet::new(),
    };
    let inputs = match schema.and_then(|schema| schema.get("properties")) {
        Some(Value::Map(entries)) => entries
            .iter()
            .map(|(name, _)| Input { name: name.clone(), required: required.contains(&**name) })
            .collect(),
        _ => Vec::new(),
    };
    let doc = tool.get("description").and_then(Value::as_text).unwrap_or_default().to_owned();
    let hints = tool.get("annotations");
    let reads = hints.and_then(|hints| hints.get("readOnlyHint")) == Some(&Value::Bool(true));
    Some(Operation { name, inputs, stream: false, beside: true, reads, doc })
}
