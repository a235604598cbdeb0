//! The example extension `lines`: a native process that counts the lines of Python source.
//!
//! Started by Symphony's supervisor; its one operation is `count`. Invariant: it reads nothing but its input, so it
//! needs no grant.

mod count;

use symphony_guest::{Context, Guest, GuestError, Input, Operation, Value};

use crate::count::LineCount;

fn main() -> Result<(), GuestError> {
    let count = Operation {
        name: "count".to_owned(),
        inputs: vec![Input { name: "source".to_owned(), required: true }],
        doc: "Count the lines of a source: code, text, comment and blank.".to_owned(),
        ..Operation::default()
    };
    Guest::new("lines").version(env!("CARGO_PKG_VERSION")).describe(count, answer).run()
}

/// Answers one call.
#[expect(clippy::needless_pass_by_value, reason = "the guest hands the inputs over")]
fn answer(inputs: Value, _context: &Context<'_>) -> Result<Value, GuestError> {
    let source = inputs
        .get("source")
        .and_then(Value::as_text)
        .ok_or_else(|| GuestError::failed("operation `count` needs the text `source`"))?;
    Ok(describe(&count::count(source)))
}

/// Puts a count into the form that callers get.
fn describe(counted: &LineCount) -> Value {
    let indentation = &counted.indentation;
    let indentation = Value::from([
        ("spaces", number(indentation.spaces)),
        ("tabs", number(indentation.tabs)),
        ("mixed", number(indentation.mixed)),
        ("unit", number(indentation.unit)),
    ]);
    let (line, length) = counted.longest;
    Value::from([
        ("total", number(counted.total)),
        ("code", number(counted.code)),
        ("text", number(counted.text)),
        ("comment", number(counted.comment)),
        ("blank", number(counted.blank)),
        ("trailing", number(counted.trailing)),
        ("longest", Value::from([("line", number(line)), ("length", number(length))])),
        ("indentation", indentation),
    ])
}

/// A count as a value; no text in memory has more lines than an `i64` counts.
fn number(count: usize) -> Value {
    Value::from(i64::try_from(count).unwrap_or(i64::MAX))
}
