//! What the server has open, and what it is opened with again after a restart.
//!
//! Invariants: what is open here is open there, in the same text; a text that was not saved is kept in memory that outlives
//! this process; how much is open at once is bounded.

use std::collections::BTreeMap;
use std::time::SystemTime;

use component::Code;
use ipc::Value;

use crate::call::{Failed, refused, unanswered};
use crate::granted::Granted;
use crate::kept::Kept;
use crate::places::{absolute, uri_of};
use crate::settings::Settings;
use crate::wire::connection::log;
use crate::wire::{Connection, json};

/// So many documents are open at once, and so many bytes of them.
const MOST: usize = 128;
const BYTES: usize = 24 * 1024 * 1024;

/// When a file was changed, and how long it is.
type Stamp = Option<(SystemTime, u64)>;

pub(super) struct Document {
    pub(super) text: String,
    pub(super) version: i64,
    language: String,
    /// Of the file whose text it is; none: the text was handed in.
    stamp: Stamp,
    used: u64,
}

pub(super) struct Documents {
    open: BTreeMap<String, Document>,
    kept: Kept,
    clock: u64,
    hears_changes: bool,
}

/// A document that is open now.
pub(super) struct Opened {
    pub(super) path: String,
    pub(super) uri: String,
    pub(super) version: i64,
}

impl Documents {
    pub(super) const fn new(kept: Kept) -> Self {
        Self { open: BTreeMap::new(), kept, clock: 0, hears_changes: true }
    }

    /// Opens what was open in the last run.
    pub(super) fn replay(&mut self, connection: &Connection, settings: &Settings, hears: bool) {
        self.hears_changes = hears;
        let kept = self.kept.load().and_then(|bytes| ipc::decode(&bytes).ok());
        let Some(Value::List(documents)) = kept else { return };
        for mut document in documents {
            let Some(Value::Text(path)) = json::take(&mut document, "path") else { continue };
            let text = match json::take(&mut document, "text") {
                Some(Value::Text(text)) => Some(text),
                _ => None,
            };
            if let Err(failure) = self.bring(connection, settings, &path, text) {
                log(&format!("`{path}` was not opened again: {}", failure.message));
            }
        }
    }

    /// Makes the server know a document in the text that is given, else in the one that it has, else in its file's.
    pub(super) fn bring(
        &mut self,
        connection: &Connection,
        settings: &Settings,
        path: &str,
        text: Option<String>,
    ) -> Result<Opened, Failed> {
        let path = absolute(path, &settings.workspace);
        let uri = uri_of(&path);
        self.clock += 1;
        // Not counted from 1 for each opening: what was told of an earlier one is never taken for news.
        let version = i64::try_from(self.clock).unwrap_or(i64::MAX);
        let known = self.open.get_mut(&path);
        let (text, stamp) = match (text, &known) {
            (Some(text), _) => (text, None),
            (None, Some(document)) if document.stamp.is_none() => (document.text.clone(), None),
            (None, known) => {
                let stamp = stamp_of(&path);
                match known {
                    Some(document) if stamp.is_some() && document.stamp == stamp => {
                        (document.text.clone(), stamp)
                    }
                    _ => (read(&settings.readable, &path)?, stamp),
                }
            }
        };
        if let Some(document) = known {
            document.used = self.clock;
            let changed = document.text != text;
            let kept_otherwise = document.stamp.is_none() != stamp.is_none();
            if changed {
                if self.hears_changes {
                    let change = json::map([("text", text.as_str().into())]);
                    let named =
                        json::map([("uri", uri.as_str().into()), ("version", version.into())]);
                    let params = json::map([
                        ("textDocument", named),
                        ("contentChanges", Value::List(vec![change])),
                    ]);
                    connection.tell("textDocument/didChange", params).map_err(unanswered)?;
                }
                // What could not be sent is sent by the next call.
                document.version = version;
                document.text = text;
            }
            document.stamp = stamp;
            if !changed && !kept_otherwise {
                return Ok(Opened { version: document.version, path, uri });
            }
        } else {
            let language = language_of(&path, &settings.languages);
            let document = Document { text, version, language, stamp, used: self.clock };
            let named = json::map([
                ("uri", uri.as_str().into()),
                ("languageId", document.language.as_str().into()),
                ("version", document.version.into()),
                ("text", document.text.as_str().into()),
            ]);
            let params = json::map([("textDocument", named)]);
            connection.tell("textDocument/didOpen", params).map_err(unanswered)?;
            self.open.insert(path.clone(), document);
            self.close_oldest(connection, &path);
        }
        self.keep();
        let version = self.open.get(&path).map_or(0, |document| document.version);
        Ok(Opened { path, uri, version })
    }

    /// The text of a document that is open.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.open.get(path).map(|document| document.text.as_str())
    }

    pub(super) fn version(&self, path: &str) -> Option<i64> {
        self.open.get(path).map(|document| document.version)
    }

    /// Forgets one. False: it was not open.
    pub(super) fn close(&mut self, connection: &Connection, path: &str) -> bool {
        if self.open.remove(path).is_none() {
            return false;
        }
        let named = json::map([("uri", uri_of(path).into())]);
        // A server that is gone has it closed.
        let _ = connection.tell("textDocument/didClose", json::map([("textDocument", named)]));
        self.keep();
        true
    }

    fn close_oldest(&mut self, connection: &Connection, but: &str) {
        loop {
            let bytes: usize = self.open.values().map(|document| document.text.len()).sum();
            if self.open.len() <= MOST && bytes <= BYTES {
                return;
            }
            // What can be read again goes first.
            let oldest = self.open.iter().filter(|(path, _)| *path != but);
            let oldest = oldest.min_by_key(|(_, one)| (one.stamp.is_none(), one.used));
            let Some(path) = oldest.map(|(path, _)| path.clone()) else { return };
            self.close(connection, &path);
        }
    }

    fn keep(&mut self) {
        let documents = self.open.iter().map(|(path, document)| {
            let text = document.stamp.is_none().then(|| document.text.as_str().into());
            json::map([("path", path.as_str().into()), ("text", text.unwrap_or_default())])
        });
        let bytes = ipc::encode(&Value::List(documents.collect()));
        if !self.kept.save(&bytes) {
            log("too much is open to be kept for a restart");
        }
    }
}

fn stamp_of(path: &str) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

fn read(readable: &Granted, path: &str) -> Result<String, Failed> {
    readable.text(path, BYTES as u64).map_err(|error| {
        let message = format!("`{path}` cannot be read: {error}; hand its text in as `text`");
        refused(Code::INVALID_VALUE, message)
    })
}

/// The language of a document: by its name where the manifest names that language or none, else the manifest's first.
fn language_of(path: &str, languages: &[String]) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map_or(name, |(_, ending)| ending);
    let known = KNOWN.iter().find(|(endings, _)| endings.contains(&ending)).map(|(_, word)| *word);
    match (known, languages.first()) {
        (Some(word), None) => word.to_owned(),
        (Some(word), Some(_)) if languages.iter().any(|given| given == word) => word.to_owned(),
        (_, Some(first)) => first.clone(),
        (None, None) => "plaintext".to_owned(),
    }
}

const KNOWN: &[(&[&str], &str)] = &[
    (&["py", "pyi", "pyw"], "python"),
    (&["rs"], "rust"),
    (&["c", "h"], "c"),
    (&["cc", "cpp", "cxx", "hh", "hpp", "hxx"], "cpp"),
    (&["go"], "go"),
    (&["js", "mjs", "cjs"], "javascript"),
    (&["jsx"], "javascriptreact"),
    (&["ts", "mts", "cts"], "typescript"),
    (&["tsx"], "typescriptreact"),
    (&["java"], "java"),
    (&["rb"], "ruby"),
    (&["sh", "bash"], "shellscript"),
    (&["json"], "json"),
    (&["toml"], "toml"),
    (&["yaml", "yml"], "yaml"),
    (&["md"], "markdown"),
    (&["html", "htm"], "html"),
    (&["css"], "css"),
    (&["lua"], "lua"),
    (&["ipynb"], "jupyter"),
];

#[cfg(test)]
mod tests {
    use super::language_of;

    #[test]
    fn a_language_is_the_names_or_the_manifests() {
        let given =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(language_of("/a/b.pyi", &[]), "python");
        assert_eq!(language_of("/a/b.hpp", &given(&["c", "cpp"])), "cpp");
        assert_eq!(language_of("/a/SConstruct", &given(&["python"])), "python");
        assert_eq!(language_of("/a/b", &[]), "plaintext");
    }
}
