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
    let at = source.location(value.span().start);
    let content = match value.into_inner() {
        DeValue::String(text) => Content::Text(text.into_owned()),
        DeValue::Boolean(flag) => Content::Bool(flag),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Content::Integer(number),
            // Out of range: kept as a float, which every reader of whole numbers refuses with its place.
            Err(_) => Content::Float(number.as_str().parse().unwrap_or(f64::INFINITY)),
        },
        DeValue::Float(number) => Content::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Datetime(date) => Content::Date(date.to_string()),
        DeValue::Array(items) => {
            Content::List(items.into_iter().map(|item| element(source, item)).collect())
        }
        DeValue::Table(table) => table_content(source, table),
    };
    Element { at, content }
}
