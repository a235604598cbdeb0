//! An MCP server, spoken with.
//!
//! Invariant: nothing here waits for the server but [`Mcp::greet`].

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use component::{Code, did_you_mean};
use ipc::{Lane, Operation, SCHEMAS, Value};
use parking_lot::Mutex;

use super::greeting::{Era, Kind, Offers, offers, settle};
use super::results;
use crate::call::{Call, progress, refused};
use crate::error::BridgeError;
use crate::kept::Kept;
use crate::settings::Settings;
use crate::speaker::Speaker;
use crate::under_way::UnderWay;
use crate::wire::connection::log;
use crate::wire::{Connection, Peer, ServerFailure, json};

/// What the last run left where the server knows no other way than the older one, or did not survive the question.
const LEGACY_ONLY: &[u8] = b"legacy";

/// The bridge's side.
pub(crate) struct Mcp {
    settings: Settings,
    kept: Mutex<Kept>,
    era: OnceLock<Era>,
    offered: OnceLock<HashMap<String, Kind>>,
    /// What the server says of its tools, by their names.
    schemas: OnceLock<Value>,
    under_way: Arc<UnderWay>,
}

impl Mcp {
    pub(crate) fn new(settings: Settings, kept: Kept) -> Self {
        let (era, offered, schemas) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { settings, kept: Mutex::new(kept), era, offered, schemas, under_way: Arc::default() }
    }

    fn params(&self, number: i64, call: &mut Call, kind: Kind) -> Value {
        let inputs = std::mem::take(&mut call.inputs);
        let mut params = match kind {
            Kind::Tool => {
                vec![
                    ("name".to_owned(), call.operation.as_str().into()),
                    ("arguments".to_owned(), inputs),
                ]
            }
            Kind::Resource | Kind::Prompt => match inputs {
                Value::Map(entries) => entries,
                _ => Vec::new(),
            },
        };
        let mut meta = match self.era.get().and_then(|era| era.meta.clone()) {
            Some(Value::Map(entries)) => entries,
            _ => Vec::new(),
        };
        if call.stream {
            meta.push(("progressToken".to_owned(), number.into()));
        }
        if !meta.is_empty() {
            params.push(("_meta".to_owned(), Value::Map(meta)));
        }
        Value::Map(params)
    }
}

impl Speaker for Mcp {
    fn greet(&self, connection: &Arc<Connection>) -> Result<Vec<Operation>, BridgeError> {
        let probe = self.kept.lock().load().as_deref() != Some(LEGACY_ONLY);
        if probe {
            // A server that ends at the question is not asked again.
            self.kept.lock().save(LEGACY_ONLY);
        }
        let era = settle(connection, &self.settings, probe).inspect_err(|_| {
            if !probe {
                // Perhaps it ended at the question for another reason: the next start asks again.
                self.kept.lock().save(b"");
            }
        })?;
        if era.meta.is_some() {
            self.kept.lock().save(b"");
        }
        let Offers { offered, schemas } = offers(connection, &era)?;
        let _ = self.schemas.set(schemas);
        let kinds = offered.iter().map(|(kind, operation)| (operation.name.clone(), *kind));
        let _ = self.offered.set(kinds.collect());
        let _ = self.era.set(era);
        Ok(offered.into_iter().map(|(_, operation)| operation).collect())
    }

    fn serve(&self, _connection: &Arc<Connection>, _lane: &Lane) {}

    fn begin(self: Arc<Self>, connection: &Arc<Connection>, mut call: Call) {
        if call.operation == SCHEMAS {
            return call.finish(Ok(self.schemas.get().cloned().unwrap_or_default()));
        }
        let Some(offered) = self.offered.get() else { return };
        let Some(kind) = offered.get(&call.operation).copied() else {
            let meant = did_you_mean(&call.operation, offered.keys().map(String::as_str));
            let hint = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            let message = format!("there is no operation `{}`{hint}", call.operation);
            return call.fail(refused(Code::UNKNOWN_OPERATION, message));
        };
        let number = connection.number();
        let params = self.params(number, &mut call, kind);
        let method = match kind {
            Kind::Tool => "tools/call",
            Kind::Resource => "resources/read",
            Kind::Prompt => "prompts/get",
        };
        let read = move |answer| results::read(kind, answer);
        self.under_way.ask(connection, number, call, (method, params), read);
    }

    fn give_up(&self, connection: &Connection, correlation: u64) {
        if let Some(number) = self.under_way.give_up(connection, correlation) {
            let params = json::map([
                ("requestId", number.into()),
                ("reason", "the caller does not wait any more".into()),
            ]);
            // A server that is gone needs not be told.
            let _ = connection.tell("notifications/cancelled", params);
        }
    }

    fn leave(&self, _connection: &Connection, _limit: Duration) {
        // It leaves when its input ends.
    }
}

impl Peer for Mcp {
    fn told(&self, _connection: &Connection, method: &str, mut params: Value) {
        match method {
            "notifications/progress" => {
                let token = json::take(&mut params, "progressToken");
                let number = token.as_ref().and_then(Value::as_int);
                if let Some((lane, call)) = number.and_then(|number| self.under_way.stream(number))
                {
                    json::take(&mut params, "_meta");
                    progress(&lane, call, &params);
                }
            }
            "notifications/message" => {
                let level = params.get("level").and_then(Value::as_text).unwrap_or("info");
                let text = match params.get("data") {
                    Some(Value::Text(text)) => text.clone(),
                    Some(data) => json::text(data),
                    None => String::new(),
                };
                log(&format!("{level}: {text}"));
            }
            _ => {}
        }
    }

    fn asked(
        &self,
        _connection: &Connection,
        method: &str,
        _params: Value,
    ) -> Result<Value, ServerFailure> {
        match method {
            "ping" => Ok(Value::Map(Vec::new())),
            "roots/list" => {
                let uri = crate::places::uri_of(&self.settings.workspace);
                let root = json::map([("uri", uri.into()), ("name", "workspace".into())]);
                Ok(json::map([("roots", Value::List(vec![root]))]))
            }
            other => Err(ServerFailure::unknown_method(other)),
        }
    }
}
