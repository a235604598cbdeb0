//! TOML into a tree.

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};
use component::{Code, Diagnostic};

use super::{Content, Element, Located, Source};

pub(super) fn parse(source: &Source, code: Code) -> Result<Element, Vec<Diagnostic>> {
    let (table, errors) = DeTable::parse_recoverable(source.text());
    if !errors.is_empty() {
        return Err(errors.iter().map(|error| fault(source, code, error)).collect());
    }
    Ok(Element { at: source.start(), content: table_content(source, table.into_inner()) })
}

fn fault(source: &Source, code: Code, error: &::toml::de::Error) -> Diagnostic {
    let message = error.message().replace('\n', ", ");
    Diagnostic::error(code, format!("this is not TOML: {message}"))
        .at(source.location(error.span().map_or(0, |span| span.start)))
}

fn table_content(source: &Source, table: DeTable<'_>) -> Content {
    let mut entries: Vec<_> = table.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    Content::Table(
        entries
            .into_iter()
            .map(|(key, value)| {
                let at = source.location(key.span().start);
                (Located::new(key.into_inner().into_owned(), at), element(source, value))
            })
            .collect(),
    )
}

fn element(source: &Source, value: Spanned<DeValue<'_>>) -> Element {
    let span = value.span();
    let at = source.location(span.start);
    let content = match value.into_inner() {
        DeValue::String(text) => Content::Text(text.into_owned()),
        DeValue::Boolean(flag) => Content::Bool(flag),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Content::Integer(number),
            Err(_) => Content::Beyond(written(source, &span)),
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            // Beyond what a float holds it would be infinity, which has a word of its own.
            Ok(number) if number.is_infinite() && !written(source, &span).ends_with("inf") => {
                Content::Beyond(written(source, &span))
            }
            Ok(number) => Content::Float(number),
            Err(_) => Content::Beyond(written(source, &span)),
        },
        DeValue::Datetime(date) => Content::Date(date.to_string()),
        DeValue::Array(items) => {
            Content::List(items.into_iter().map(|item| element(source, item)).collect())
        }
        DeValue::Table(table) => table_content(source, table),
    };
    Element { at, content }
}

fn written(source: &Source, span: &std::ops::Range<usize>) -> String {
    source.text().get(span.clone()).unwrap_or_default().to_owned()
}
