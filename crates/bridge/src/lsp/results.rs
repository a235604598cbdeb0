//! Plain values of a server's answers: paths for URIs, code points for the server's units.
//!
//! Invariant: a position is translated by the text that the server has of that document; what is not known of stays as it is.

use std::collections::HashMap;

use ipc::Value;

use crate::places::{Units, path_of};
use crate::wire::json;

/// A text and where its lines begin.
struct Lines {
    text: String,
    starts: Vec<usize>,
}

impl Lines {
    fn new(text: String) -> Self {
        let mut starts = vec![0];
        let bytes = text.as_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
                starts.push(at + 1);
            }
        }
        Self { text, starts }
    }

    fn line(&self, number: usize) -> &str {
        let Some(start) = self.starts.get(number) else { return "" };
        let end = self.starts.get(number + 1).copied().unwrap_or(self.text.len());
        self.text[*start..end].trim_end_matches(['\n', '\r'])
    }
}

/// Translates one answer.
pub(super) struct Translator<'a> {
    units: Units,
    text_of: &'a dyn Fn(&str) -> Option<String>,
    texts: HashMap<String, Option<Lines>>,
}

impl<'a> Translator<'a> {
    /// `text_of` gives the text that the server has of a document, where it is known.
    pub(super) fn new(units: Units, text_of: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { units, text_of, texts: HashMap::new() }
    }

    /// A value of a document, with everything below it.
    pub(super) fn value(&mut self, value: Value, path: &str) -> Value {
        match value {
            Value::List(items) => {
                Value::List(items.into_iter().map(|item| self.value(item, path)).collect())
            }
            Value::Map(entries) => self.map(entries, path),
            other => other,
        }
    }

    fn map(&mut self, entries: Vec<(String, Value)>, path: &str) -> Value {
        let text = |key: &str| {
            let found = entries.iter().rev().find(|(name, _)| name == key);
            found.and_then(|(_, value)| value.as_text()).and_then(path_of)
        };
        let own = text("uri");
        let target = text("targetUri");
        let named = entries.iter().find(|(name, _)| name == "textDocument");
        let named = named.and_then(|(_, named)| named.get("uri")?.as_text()).and_then(path_of);
        let path = own.as_deref().or(named.as_deref()).unwrap_or(path).to_owned();
        let target = target.unwrap_or_else(|| path.clone());
        let is_position = entries.len() == 2
            && entries.iter().all(|(name, value)| {
                matches!(name.as_str(), "line" | "character") && matches!(value, Value::Int(_))
            });
        if is_position {
            return self.position(entries, &path);
        }
        let entries = entries.into_iter().map(|(key, value)| match key.as_str() {
            "uri" | "targetUri" | "oldUri" | "newUri" => match value.as_text().and_then(path_of) {
                Some(path) => (path_key(&key), path.into()),
                None => (key, value),
            },
            "targetRange" | "targetSelectionRange" => {
                let value = self.value(value, &target);
                (key, value)
            }
            "changes" => {
                let value = self.changes(value, &path);
                (key, value)
            }
            // What the server gave for itself is given back as it is.
            "data" => (key, value),
            _ => {
                let value = self.value(value, &path);
                (key, value)
            }
        });
        Value::Map(entries.collect())
    }

    /// Edits by URI.
    fn changes(&mut self, value: Value, path: &str) -> Value {
        let Value::Map(entries) = value else { return self.value(value, path) };
        let entries = entries.into_iter().map(|(uri, edits)| {
            let own = path_of(&uri).unwrap_or(uri);
            let edits = self.value(edits, &own);
            (own, edits)
        });
        Value::Map(entries.collect())
    }

    fn position(&mut self, entries: Vec<(String, Value)>, path: &str) -> Value {
        let mut value = Value::Map(entries);
        if self.units == Units::Utf32 {
            return value;
        }
        let number = |value: &Value, key: &str| {
            value.get(key).and_then(Value::as_int).and_then(|number| usize::try_from(number).ok())
        };
        let (Some(line), Some(units)) = (number(&value, "line"), number(&value, "character"))
        else {
            return value;
        };
        let own = self.units;
        let Some(lines) = self.lines(path) else { return value };
        let points = own.to_points(lines.line(line), units);
        if let Value::Map(entries) = &mut value {
            for (key, number) in entries {
                if key == "character" {
                    *number = Value::Int(i64::try_from(points).unwrap_or(i64::MAX));
                }
            }
        }
        value
    }

    fn lines(&mut self, path: &str) -> Option<&Lines> {
        if !self.texts.contains_key(path) {
            let text = (self.text_of)(path);
            self.texts.insert(path.to_owned(), text.map(Lines::new));
        }
        self.texts.get(path)?.as_ref()
    }
}

fn path_key(key: &str) -> String {
    match key {
        "targetUri" => "targetPath",
        "oldUri" => "oldPath",
        "newUri" => "newPath",
        _ => "path",
    }
    .to_owned()
}

/// A list, whatever came.
pub(super) fn list(value: Value) -> Vec<Value> {
    match value {
        Value::None => Vec::new(),
        Value::List(items) => items,
        other => vec![other],
    }
}

/// Places as path and range, whichever of the three forms came.
pub(super) fn locations(value: Value) -> Value {
    let places = list(value).into_iter().map(|mut place| {
        let Some(path) = json::take(&mut place, "targetPath") else { return place };
        let range = json::take(&mut place, "targetSelectionRange")
            .or_else(|| json::take(&mut place, "targetRange"));
        json::map([("path", path), ("range", range.unwrap_or_default())])
    });
    Value::List(places.collect())
}

/// Contents as one text.
pub(super) fn hover(mut value: Value) -> Value {
    let Some(contents) = json::take(&mut value, "contents") else { return Value::None };
    let texts: Vec<String> = list(contents).into_iter().map(marked).collect();
    let mut entries = vec![("contents".to_owned(), texts.join("\n\n").into())];
    entries.extend(json::take(&mut value, "range").map(|range| ("range".to_owned(), range)));
    Value::Map(entries)
}

fn marked(content: Value) -> String {
    match content {
        Value::Text(text) => text,
        mut other => {
            let language = json::take(&mut other, "language");
            match (json::take(&mut other, "value"), language) {
                (Some(Value::Text(text)), Some(Value::Text(language))) => {
                    format!("```{language}\n{text}\n```")
                }
                (Some(Value::Text(text)), _) => text,
                _ => json::text(&other),
            }
        }
    }
}

/// The items alone.
pub(super) fn completion(mut value: Value) -> Value {
    match json::take(&mut value, "items") {
        Some(items) => Value::List(list(items)),
        None => Value::List(list(value)),
    }
}

/// Edits by path, whichever of the two forms came; what is done with whole files is told beside them.
pub(super) fn edits(mut value: Value) -> Value {
    let mut changes = match json::take(&mut value, "changes") {
        Some(Value::Map(entries)) => entries,
        _ => Vec::new(),
    };
    let mut files = Vec::new();
    for mut change in list(json::take(&mut value, "documentChanges").unwrap_or_default()) {
        let named = json::take(&mut change, "textDocument");
        let path = named.and_then(|mut named| json::take(&mut named, "path"));
        match (path, json::take(&mut change, "edits")) {
            (Some(Value::Text(path)), Some(edits)) => {
                match changes.iter_mut().find(|(known, _)| *known == path) {
                    Some((_, Value::List(known))) => known.extend(list(edits)),
                    _ => changes.push((path, edits)),
                }
            }
            _ => files.push(change),
        }
    }
    let mut entries = vec![("changes".to_owned(), Value::Map(changes))];
    if !files.is_empty() {
        entries.push(("files".to_owned(), Value::List(files)));
    }
    Value::Map(entries)
}

#[cfg(test)]
mod tests {
    use super::{Translator, edits, hover, locations};
    use crate::places::Units;
    use crate::wire::json;

    const TEXT: &str = "first\r\n😀é = x\n";

    fn translated(units: Units, text: &str) -> ipc::Value {
        let open = |path: &str| (path == "/a b").then(|| TEXT.to_owned());
        Translator::new(units, &open).value(json::parse(text.as_bytes()).unwrap(), "/a b")
    }

    #[test]
    fn positions_are_code_points_of_their_own_document() {
        let answer = r#"[{"targetUri":"file:///a%20b","targetRange":{"start":{"line":0,"character":0},"end":{"line":1,"character":9}},"targetSelectionRange":{"start":{"line":1,"character":2},"end":{"line":1,"character":3}},"originSelectionRange":{"start":{"line":1,"character":3},"end":{"line":1,"character":4}}}]"#;
        assert_eq!(
            json::text(&locations(translated(Units::Utf16, answer))),
            r#"[{"path":"/a b","range":{"start":{"line":1,"character":1},"end":{"line":1,"character":2}}}]"#
        );
        let bytes = r#"{"uri":"file:///a%20b","range":{"start":{"line":1,"character":4},"end":{"line":1,"character":6}}}"#;
        assert_eq!(
            json::text(&locations(translated(Units::Utf8, bytes))),
            r#"[{"path":"/a b","range":{"start":{"line":1,"character":1},"end":{"line":1,"character":2}}}]"#
        );
    }

    #[test]
    fn edits_are_by_path_whichever_form_came() {
        let range = r#"{"start":{"line":1,"character":0},"end":{"line":1,"character":2}}"#;
        let one =
            format!(r#"{{"changes":{{"file:///a%20b":[{{"range":{range},"newText":"y"}}]}}}}"#);
        let other = format!(
            r#"{{"documentChanges":[{{"textDocument":{{"uri":"file:///a%20b","version":1}},"edits":[{{"range":{range},"newText":"y"}}]}}]}}"#
        );
        let wanted = r#"{"changes":{"/a b":[{"range":{"start":{"line":1,"character":0},"end":{"line":1,"character":1}},"newText":"y"}]}}"#;
        for text in [one, other] {
            assert_eq!(json::text(&edits(translated(Units::Utf16, &text))), wanted);
        }
    }

    #[test]
    fn a_hover_is_one_text() {
        let answer = r#"{"contents":["a",{"language":"c","value":"b"}]}"#;
        assert_eq!(
            json::text(&hover(translated(Units::Utf32, answer))),
            r#"{"contents":"a\n\n```c\nb\n```"}"#
        );
    }
}
