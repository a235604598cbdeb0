//! The tree: tables, lists and plain values, each with the place where it stands.

use component::Location;

/// A value and the place where a person wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Location,
}

impl<T> Located<T> {
    /// A value at a place.
    pub fn new(value: T, at: Location) -> Self {
        Self { value, at }
    }
}

impl<T> std::ops::Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: std::fmt::Display> std::fmt::Display for Located<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value.fmt(out)
    }
}

/// One value of a file, with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Where it begins.
    pub at: Location,
    /// What it is.
    pub content: Content,
}

/// What a value is, for TOML and JSON alike.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Keys and values, in the order of the file.
    Table(Vec<(Located<String>, Element)>),
    /// A list.
    List(Vec<Element>),
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// A number that neither 64 bits nor a float hold, as written: every reader refuses it at its place.
    Beyond(String),
    /// True or false.
    Bool(bool),
    /// JSON's null.
    Null,
    /// TOML's date or time, as written.
    Date(String),
}

impl Content {
    /// What it is, with its article, for messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::List(_) => "a list",
            Self::Text(_) => "text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Beyond(_) => "a number beyond 64 bits",
            Self::Bool(_) => "true or false",
            Self::Null => "null",
            Self::Date(_) => "a date",
        }
    }
}
