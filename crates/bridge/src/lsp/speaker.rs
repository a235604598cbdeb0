//! A language server, spoken with.
//!
//! Invariant: nothing here waits for the server but [`Lsp::greet`] and [`Lsp::leave`]; what is sent about one document is sent
//! in the order in which it was asked for.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use component::{Code, did_you_mean};
use ipc::{Lane, Operation, Payload, SCHEMAS, Value};
use parking_lot::Mutex;

use super::asked;
use super::diagnostics::Diagnostics;
use super::documents::{Documents, Opened};
use super::greeting::{Abilities, abilities, initialize};
use super::inputs::{Inputs, wrong};
use super::operations::{OPERATIONS, offered, schemas};
use super::results::{self, Translator, list};
use crate::call::{Call, Failed, refused};
use crate::error::BridgeError;
use crate::kept::Kept;
use crate::places::{absolute, line_of, path_of};
use crate::settings::Settings;
use crate::speaker::Speaker;
use crate::under_way::UnderWay;
use crate::wire::connection::log;
use crate::wire::{Connection, Peer, ServerFailure, json};

/// A server that says nothing for so long says nothing at all; the host's own limit of a start is shorter, as a rule.
const LONGEST: Duration = Duration::from_secs(300);

/// A file larger than this is not read for the sake of a position.
const READ: u64 = 16 * 1024 * 1024;

/// The bridge's side.
pub(crate) struct Lsp {
    settings: Settings,
    abilities: OnceLock<Abilities>,
    lane: OnceLock<Lane>,
    documents: Arc<Mutex<Documents>>,
    diagnostics: Mutex<Diagnostics>,
    under_way: Arc<UnderWay>,
}

/// What a call comes to.
enum Asked {
    /// A request, the document that its answer speaks of, and what is made of the answer.
    Request(&'static str, Value, String, fn(Value) -> Value),
    /// The same, with nothing made of it.
    Raw(String, Value),
    /// What the server tells of a version of a document.
    Wait(String, i64),
    /// Nothing more.
    Done(Value),
}

impl Lsp {
    pub(crate) fn new(settings: Settings, kept: Kept) -> Self {
        Self {
            settings,
            abilities: OnceLock::new(),
            lane: OnceLock::new(),
            documents: Arc::new(Mutex::new(Documents::new(kept))),
            diagnostics: Mutex::default(),
            under_way: Arc::default(),
        }
    }

    fn abilities(&self) -> Abilities {
        self.abilities.get().copied().unwrap_or_default()
    }

    fn bring(&self, connection: &Connection, inputs: &mut Inputs) -> Result<Opened, Failed> {
        let path = inputs.text("path")?;
        let text = inputs.optional_text("text")?;
        let mut documents = self.documents.lock();
        let opened = documents.bring(connection, &self.settings, &path, text);
        self.diagnostics.lock().retain(|path| documents.version(path).is_some());
        opened
    }

    /// A place of an open document in the server's units.
    fn position(&self, path: &str, line: usize, character: usize) -> Value {
        let documents = self.documents.lock();
        let text = documents.text(path).unwrap_or_default();
        let units = self.abilities().units.of_points(line_of(text, line), character);
        let number = |number: usize| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        json::map([("line", number(line)), ("character", number(units))])
    }

    fn asked(
        &self,
        connection: &Connection,
        operation: &str,
        inputs: &mut Inputs,
    ) -> Result<Asked, Failed> {
        match operation {
            "workspace_symbol" => {
                let params = json::map([("query", inputs.text("query")?.into())]);
                return Ok(Asked::Request("workspace/symbol", params, String::new(), to_list));
            }
            "request" => {
                let method = inputs.text("method")?;
                return Ok(Asked::Raw(method, inputs.any("params").unwrap_or_default()));
            }
            "close" => {
                let path = absolute(&inputs.text("path")?, &self.settings.workspace);
                let closed = self.documents.lock().close(connection, &path);
                self.diagnostics.lock().retain(|one| one != path);
                return Ok(Asked::Done(closed.into()));
            }
            _ => {}
        }
        // Before anything is sent, so that what is refused changes nothing.
        let place = match operation {
            "definition" | "references" | "hover" | "completion" | "rename" | "code_action" => {
                Some((inputs.number("line")?, inputs.number("character")?))
            }
            _ => None,
        };
        let end = (inputs.optional_number("end_line")?, inputs.optional_number("end_character")?);
        let mut entries: Vec<(&str, Value)> = Vec::new();
        let (method, made): (&'static str, fn(Value) -> Value) = match operation {
            "definition" => ("textDocument/definition", results::locations),
            "references" => {
                let with = inputs.flag("include_declaration", true)?;
                entries.push(("context", json::map([("includeDeclaration", with.into())])));
                ("textDocument/references", results::locations)
            }
            "hover" => ("textDocument/hover", results::hover),
            "document_symbol" => ("textDocument/documentSymbol", to_list),
            "completion" => ("textDocument/completion", results::completion),
            "rename" => {
                entries.push(("newName", inputs.text("new_name")?.into()));
                ("textDocument/rename", results::edits)
            }
            "format" => {
                let size = inputs.optional_number("tab_size")?.unwrap_or(4);
                let spaces = inputs.flag("insert_spaces", true)?;
                let size = i64::try_from(size).unwrap_or(i64::MAX);
                let options = [("tabSize", size.into()), ("insertSpaces", spaces.into())];
                entries.push(("options", json::map(options)));
                ("textDocument/formatting", to_list)
            }
            "code_action" => ("textDocument/codeAction", to_list),
            _ => ("textDocument/diagnostic", diagnostics_of),
        };
        let only = match inputs.any("only") {
            Some(only @ Value::List(_)) => Some(only),
            Some(one @ Value::Text(_)) => Some(Value::List(vec![one])),
            Some(_) => return Err(wrong("only", "a list of texts")),
            None => None,
        };
        let opened = self.bring(connection, inputs)?;
        if operation == "diagnostics" && !self.abilities().pulls {
            return Ok(Asked::Wait(opened.path, opened.version));
        }
        entries.push(("textDocument", json::map([("uri", opened.uri.as_str().into())])));
        if let Some((line, character)) = place {
            let position = self.position(&opened.path, line, character);
            if operation == "code_action" {
                let (line, character) = (end.0.unwrap_or(line), end.1.unwrap_or(character));
                let end = self.position(&opened.path, line, character);
                entries.push(("range", json::map([("start", position), ("end", end)])));
                entries.push(("context", context_of(only)));
            } else {
                entries.push(("position", position));
            }
        }
        let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), value));
        Ok(Asked::Request(method, Value::Map(entries.collect()), opened.path, made))
    }

    fn wait_no_more(&self, correlation: u64) {
        let call = self.diagnostics.lock().give_up(correlation);
        if let Some(call) = call {
            call.fail(refused(Code::CANCELLED, "the call was cancelled"));
        }
    }
}

fn context_of(only: Option<Value>) -> Value {
    let mut entries = vec![("diagnostics".to_owned(), Value::List(Vec::new()))];
    entries.extend(only.map(|only| ("only".to_owned(), only)));
    Value::Map(entries)
}

fn to_list(value: Value) -> Value {
    Value::List(list(value))
}

/// The items of a report.
fn diagnostics_of(mut report: Value) -> Value {
    Value::List(list(json::take(&mut report, "items").unwrap_or_default()))
}

impl Speaker for Lsp {
    fn greet(&self, connection: &Arc<Connection>) -> Result<Vec<Operation>, BridgeError> {
        let answer = connection.ask_now("initialize", initialize(&self.settings), LONGEST)?;
        let able = abilities(&answer);
        let _ = self.abilities.set(able);
        connection.tell("initialized", Value::Map(Vec::new()))?;
        if matches!(&self.settings.settings, Value::Map(given) if !given.is_empty()) {
            let params = json::map([("settings", self.settings.settings.clone())]);
            connection.tell("workspace/didChangeConfiguration", params)?;
        }
        self.documents.lock().replay(connection, &self.settings, able.hears_changes);
        Ok(offered())
    }

    fn serve(&self, _connection: &Arc<Connection>, lane: &Lane) {
        let _ = self.lane.set(lane.clone());
    }

    fn begin(self: Arc<Self>, connection: &Arc<Connection>, mut call: Call) {
        if call.operation == SCHEMAS {
            return call.finish(Ok(schemas()));
        }
        let names = || OPERATIONS.iter().map(|(name, ..)| *name);
        if !names().any(|name| name == call.operation) {
            let meant = did_you_mean(&call.operation, names());
            let hint = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            let message = format!("there is no operation `{}`{hint}", call.operation);
            return call.fail(refused(Code::UNKNOWN_OPERATION, message));
        }
        let mut inputs = Inputs(std::mem::take(&mut call.inputs));
        let asked = self.asked(connection, &call.operation, &mut inputs);
        let asked = asked.and_then(|asked| inputs.end().map(|()| asked));
        let number = connection.number();
        match asked {
            Err(failure) => call.fail(failure),
            Ok(Asked::Done(value)) => call.finish(Ok(value)),
            Ok(Asked::Raw(method, params)) => {
                self.under_way.ask(connection, number, call, (&method, params), Ok);
            }
            Ok(Asked::Wait(path, version)) => {
                let (lane, correlation) = (call.lane.clone(), call.correlation);
                let ready = self.diagnostics.lock().wait(call, &path, version);
                if let Some((call, found)) = ready {
                    call.finish(Ok(found));
                } else if lane.is_cancelled(correlation) {
                    self.wait_no_more(correlation);
                }
            }
            Ok(Asked::Request(method, params, path, made)) => {
                let (documents, units) = (Arc::clone(&self.documents), self.abilities().units);
                let readable = self.settings.readable.clone();
                let read = move |answer| {
                    let text_of = |path: &str| {
                        let open = documents.lock().text(path).map(str::to_owned);
                        open.or_else(|| readable.text(path, READ).ok())
                    };
                    Ok(made(Translator::new(units, &text_of).value(answer, &path)))
                };
                self.under_way.ask(connection, number, call, (method, params), read);
            }
        }
    }

    fn give_up(&self, connection: &Connection, correlation: u64) {
        if let Some(number) = self.under_way.give_up(connection, correlation) {
            // A server that is gone needs not be told.
            let _ = connection.tell("$/cancelRequest", json::map([("id", number.into())]));
        }
        self.wait_no_more(correlation);
    }

    fn leave(&self, connection: &Connection, limit: Duration) {
        // Whatever it says, it is told to go.
        let _ = connection.ask_now("shutdown", Value::None, limit);
        let _ = connection.tell("exit", Value::None);
    }
}

impl Peer for Lsp {
    fn told(&self, _connection: &Connection, method: &str, mut params: Value) {
        match method {
            "textDocument/publishDiagnostics" => {
                let uri = json::take(&mut params, "uri").unwrap_or_default();
                let Some(path) = uri.as_text().and_then(path_of) else { return };
                let (known, text) = {
                    let documents = self.documents.lock();
                    let text = documents.text(&path).map(str::to_owned);
                    (documents.version(&path), text)
                };
                // Without a version it speaks of what it has now.
                let version = params.get("version").and_then(Value::as_int);
                let version = version.or(known).unwrap_or_default();
                let found = json::take(&mut params, "diagnostics").unwrap_or_default();
                let text_of = |asked: &str| {
                    let open = text.clone().filter(|_| asked == path);
                    open.or_else(|| self.settings.readable.text(asked, READ).ok())
                };
                let mut translator = Translator::new(self.abilities().units, &text_of);
                let found = Value::List(list(translator.value(found, &path)));
                let mut ready = Vec::new();
                if known.is_some() {
                    // Of what is not open nobody asks before it is opened, and then it is told again.
                    ready = self.diagnostics.lock().tell(&path, version, &found);
                }
                for call in ready {
                    call.finish(Ok(found.clone()));
                }
                let event = json::map([
                    ("path", path.as_str().into()),
                    ("version", version.into()),
                    ("diagnostics", found),
                ]);
                if let (Some(lane), Ok(event)) = (self.lane.get(), Payload::from_value(&event)) {
                    // Whoever does not listen misses it, and a lane that closed has nobody.
                    let _ = lane.publish(&format!("{}.diagnostics", self.settings.name), &event);
                }
            }
            "window/logMessage" | "window/showMessage" => {
                if let Some(Value::Text(text)) = json::take(&mut params, "message") {
                    log(&text);
                }
            }
            _ => {}
        }
    }

    fn asked(
        &self,
        _connection: &Connection,
        method: &str,
        params: Value,
    ) -> Result<Value, ServerFailure> {
        asked::answer(&self.settings, method, params)
    }
}
