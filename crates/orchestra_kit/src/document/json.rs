//! JSON into a tree: `serde_json` finds the syntax errors and cuts the text into raw values whose place in the
//! source gives their line and column.

use std::borrow::Cow;

use component::{Code, Diagnostic, Location};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Content, Element, Located, Source};

/// Raw values are cut level by level, each level once more: nesting costs time and stack, and nobody writes more.
const DEEPEST: usize = 64;

pub(super) fn parse(source: &Source, code: Code) -> Result<Element, Diagnostic> {
    if let Some(offset) = too_deep(source.text()) {
        let at = source.location(offset);
        return Err(Diagnostic::error(code, "values are nested too deep").at(at));
    }
    let raw: &RawValue = serde_json::from_str(source.text())
        .map_err(|error| syntax(code, source.text(), 0, &error, source))?;
    element(source, code, raw.get())
}

/// Where the nesting exceeds the limit, in one pass.
fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut inside, mut escaped) = (0usize, false, false);
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = inside,
            b'"' => inside = !inside,
            b'[' | b'{' if !inside => {
                depth += 1;
                if depth > DEEPEST {
                    return Some(offset);
                }
            }
            b']' | b'}' if !inside => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn syntax(
    code: Code,
    text: &str,
    offset: usize,
    error: &serde_json::Error,
    source: &Source,
) -> Diagnostic {
    let line_start: usize =
        text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at = source.location(offset + line_start + error.column().saturating_sub(1));
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    Diagnostic::error(code, format!("this is not JSON: {message}")).at(at)
}

fn element(source: &Source, code: Code, text: &str) -> Result<Element, Diagnostic> {
    let offset = offset_in(source, text);
    let at = source.location(offset);
    let wrong = |error: serde_json::Error| syntax(code, text, offset, &error, source);
    let content = match text.as_bytes().first() {
        Some(b'{') => {
            let table: Table<'_> = serde_json::from_str(text).map_err(wrong)?;
            let mut entries: Vec<(Located<String>, Element)> = Vec::with_capacity(table.0.len());
            for (key, value) in table.0 {
                let value = element(source, code, value.get())?;
                let at = key_place(source, &key, &value.at);
                if entries.iter().any(|(known, _)| known.value == key) {
                    return Err(Diagnostic::error(code, format!("`{key}` stands twice")).at(at));
                }
                entries.push((Located::new(key.into_owned(), at), value));
            }
            Content::Table(entries)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(wrong)?;
            let items = items.into_iter().map(|item| element(source, code, item.get()));
            Content::List(items.collect::<Result<_, _>>()?)
        }
        Some(b'"') => Content::Text(serde_json::from_str(text).map_err(wrong)?),
        Some(b't' | b'f') => Content::Bool(serde_json::from_str(text).map_err(wrong)?),
        Some(b'n') => Content::Null,
        _ => match serde_json::from_str::<i64>(text) {
            Ok(number) => Content::Integer(number),
            // A whole number that 64 bits do not hold would come out of a float as another one.
            Err(_) if !text.contains(['.', 'e', 'E']) => Content::Beyond(text.to_owned()),
            Err(_) => Content::Float(serde_json::from_str(text).map_err(wrong)?),
        },
    };
    Ok(Element { at, content })
}

fn offset_in(source: &Source, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(source.text().as_ptr() as usize)
}

/// A key without escapes is borrowed from the source, which gives its place; another takes its value's.
fn key_place(source: &Source, key: &str, value: &Location) -> Location {
    let offset = offset_in(source, key);
    if offset > 0 && offset < source.text().len() {
        source.location(offset - 1)
    } else {
        value.clone()
    }
}

struct Table<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Table<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((key, value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    entries.push((key.0, value));
                }
                Ok(entries)
            }
        }
        from.deserialize_map(Entries).map(Table)
    }
}
