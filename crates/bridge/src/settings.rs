//! What a manifest says of a server, as the bridge is told it.
//!
//! Written as JSON by the process host, read here after the fork.

use ipc::Value;

use crate::error::BridgeError;
use crate::granted::Granted;
use crate::wire::json;

/// Which server this is, and what it is told.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The extension's name.
    pub name: String,
    /// Whether it speaks LSP; else MCP.
    pub is_lsp: bool,
    /// The opened project, absolute.
    pub workspace: String,
    /// The files that it is granted to read.
    pub readable: Granted,
    /// LSP: the languages of its documents.
    pub languages: Vec<String>,
    /// LSP: `initializationOptions`; MCP: capabilities beside ours.
    pub initialization: Value,
    /// What it gets when it asks for its configuration.
    pub settings: Value,
}

impl Settings {
    /// What it speaks.
    pub(crate) const fn protocol(&self) -> &'static str {
        if self.is_lsp { "lsp" } else { "mcp" }
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`BridgeError::Settings`] when the text is no JSON object or lacks a name.
    pub fn parse(text: &str) -> Result<Self, BridgeError> {
        let mut value = json::parse(text.as_bytes())
            .map_err(|error| BridgeError::Settings { reason: error.to_string() })?;
        let word = |value: &Value, key: &str| {
            value
                .get(key)
                .and_then(Value::as_text)
                .map(str::to_owned)
                .ok_or_else(|| BridgeError::Settings { reason: format!("they lack `{key}`") })
        };
        let words = |key: &str| -> Vec<String> {
            match value.get(key) {
                Some(Value::List(words)) => {
                    words.iter().filter_map(Value::as_text).map(str::to_owned).collect()
                }
                _ => Vec::new(),
            }
        };
        let (languages, readable) = (words("languages"), words("readable"));
        Ok(Self {
            name: word(&value, "name")?,
            is_lsp: word(&value, "protocol")? == "lsp",
            workspace: word(&value, "workspace")?,
            readable: Granted::new(readable.into_iter().map(Into::into)),
            languages,
            initialization: json::take(&mut value, "initialization").unwrap_or_default(),
            settings: json::take(&mut value, "settings").unwrap_or_default(),
        })
    }
}
