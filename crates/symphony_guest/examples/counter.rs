//! An extension in Rust: one operation that counts lines, and one that streams them.

use symphony_guest::{Context, Guest, GuestError, Value};

fn count(inputs: &Value) -> Result<Value, GuestError> {
    let text = inputs.get("text").and_then(Value::as_text).ok_or("`text` is missing")?;
    Ok(Value::from(i64::try_from(text.lines().count()).unwrap_or(i64::MAX)))
}

fn lines(inputs: &Value, context: &Context<'_>) -> Result<(), GuestError> {
    let text = inputs.get("text").and_then(Value::as_text).ok_or("`text` is missing")?;
    for line in text.lines() {
        if context.cancelled() {
            break;
        }
        context.item(line)?;
    }
    Ok(())
}

fn main() -> Result<(), GuestError> {
    Guest::new("counter")
        .operation("count", |inputs, _context| count(&inputs))
        .stream("lines", |inputs, context| lines(&inputs, context))
        .run()
}
