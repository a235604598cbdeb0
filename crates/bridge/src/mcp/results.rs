//! Plain values of a server's answers.

use component::Code;
use ipc::{RemoteFailure, Value};

use super::greeting::Kind;
use crate::call::{Failed, refused};
use crate::wire::json;

/// The result of a call, by what was called.
pub(super) fn read(kind: Kind, mut answer: Value) -> Result<Value, Failed> {
    if let Some(Value::Text(state)) = json::take(&mut answer, "resultType")
        && state != "complete"
    {
        let message = format!(
            "the server wants something before it answers (`{state}`), which is not supported"
        );
        return Err(refused(Code::REMOTE_ERROR, message));
    }
    match kind {
        Kind::Tool => tool(answer),
        Kind::Resource => Ok(contents(json::take(&mut answer, "contents").unwrap_or_default())),
        Kind::Prompt => {
            for key in ["_meta", "ttlMs", "cacheScope"] {
                json::take(&mut answer, key);
            }
            Ok(answer)
        }
    }
}

fn tool(mut answer: Value) -> Result<Value, Failed> {
    let content = json::take(&mut answer, "content").unwrap_or_default();
    if answer.get("isError") == Some(&Value::Bool(true)) {
        let type_name = "ToolError".to_owned();
        let message = text_of(&content);
        return Err(RemoteFailure { type_name, ..RemoteFailure::new(Code::REMOTE_ERROR, message) });
    }
    match json::take(&mut answer, "structuredContent") {
        Some(structured) if structured != Value::None => Ok(structured),
        _ => Ok(contents(content)),
    }
}

/// The text of a single piece of text; else the pieces as they are.
fn contents(content: Value) -> Value {
    let Value::List(mut pieces) = content else { return content };
    if pieces.is_empty() {
        return Value::None;
    }
    if let [piece] = &mut pieces[..] {
        let is_text = piece.get("type").and_then(Value::as_text).is_none_or(|kind| kind == "text");
        if is_text && let Some(text @ Value::Text(_)) = json::take(piece, "text") {
            return text;
        }
    }
    Value::List(pieces)
}

/// Every text of the pieces, a line each.
fn text_of(content: &Value) -> String {
    let Value::List(pieces) = content else { return json::text(content) };
    let texts = pieces.iter().map(|piece| match piece.get("text") {
        Some(Value::Text(text)) => text.clone(),
        _ => json::text(piece),
    });
    texts.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Kind, read};
    use crate::wire::json;

    fn of(kind: Kind, text: &str) -> Result<String, String> {
        read(kind, json::parse(text.as_bytes()).unwrap())
            .map(|value| json::text(&value))
            .map_err(|failure| failure.message)
    }

    #[test]
    fn an_answer_is_a_plain_value() {
        let one = r#"{"content":[{"type":"text","text":"a"}]}"#;
        assert_eq!(of(Kind::Tool, one).unwrap(), "\"a\"");
        let structured = r#"{"content":[{"type":"text","text":"a"}],"structuredContent":{"n":1}}"#;
        assert_eq!(of(Kind::Tool, structured).unwrap(), "{\"n\":1}");
        let image = r#"{"content":[{"type":"image","data":"x"}]}"#;
        assert_eq!(of(Kind::Tool, image).unwrap(), r#"[{"type":"image","data":"x"}]"#);
        assert_eq!(of(Kind::Tool, r#"{"content":[]}"#).unwrap(), "null");
        let failed =
            r#"{"isError":true,"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#;
        assert_eq!(of(Kind::Tool, failed).unwrap_err(), "a\nb");
        let resource = r#"{"contents":[{"uri":"x:y","text":"t"}]}"#;
        assert_eq!(of(Kind::Resource, resource).unwrap(), "\"t\"");
        assert!(of(Kind::Tool, r#"{"resultType":"input_required"}"#).is_err());
    }
}
