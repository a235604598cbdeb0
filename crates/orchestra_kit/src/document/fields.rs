//! A walk through one table: typed fields out, a fault for everything that should not be there.

use component::{Location, did_you_mean};

use super::{Content, Element, Faults, Located};

/// The entries of one table while a reader takes them out by name.
pub(crate) struct Fields<'a> {
    pub(crate) faults: &'a mut Faults,
    /// The table's name in messages (`extension.limits`).
    name: &'static str,
    at: Location,
    entries: Vec<(Located<String>, Element)>,
}

impl<'a> Fields<'a> {
    /// Opens a table. Keys that are not `known` are faults, each with what may have been meant.
    pub(crate) fn open(
        faults: &'a mut Faults,
        element: Element,
        name: &'static str,
        known: &[&str],
    ) -> Option<Self> {
        let entries = match element.content {
            Content::Table(entries) => entries,
            other => {
                let message = format!("`{name}` must be a table, not {}", other.kind());
                faults.error(&element.at, message);
                return None;
            }
        };
        let (entries, unknown) =
            entries.into_iter().partition::<Vec<_>, _>(|(key, _)| known.contains(&key.as_str()));
        for (key, _) in unknown {
            let place = if name.is_empty() { String::new() } else { format!(" in `{name}`") };
            let fault = faults.error(&key.at, format!("unknown key `{key}`{place}"));
            fault.hint = Some(match did_you_mean(&key, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known keys: {}", quoted(known)),
            });
        }
        Some(Self { faults, name, at: element.at, entries })
    }

    /// Where the table begins.
    pub(crate) fn at(&self) -> &Location {
        &self.at
    }

    /// `name.key`, as messages show it.
    pub(crate) fn label(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Takes a value of any type out.
    pub(crate) fn take(&mut self, key: &str) -> Option<Element> {
        let index = self.entries.iter().position(|(name, _)| name.value == key)?;
        Some(self.entries.remove(index).1)
    }

    /// Where a key stands, if it is there and was not taken.
    pub(crate) fn place(&self, key: &str) -> Option<Location> {
        self.entries.iter().find(|(name, _)| name.value == key).map(|(name, _)| name.at.clone())
    }

    /// The table lacks a key that it must have.
    pub(crate) fn lacks(&mut self, key: &str, hint: &str) {
        let message = if self.name.is_empty() {
            format!("the file lacks `{key}`")
        } else {
            format!("`{}` lacks `{key}`", self.name)
        };
        self.faults.error(&self.at, message).hint = Some(hint.to_owned());
    }

    fn wrong(&mut self, key: &str, wanted: &str, found: &Element) {
        let message =
            format!("`{}` must be {wanted}, not {}", self.label(key), found.content.kind());
        self.faults.error(&found.at, message);
    }

    /// Text; empty text is a fault.
    pub(crate) fn text(&mut self, key: &str) -> Option<Located<String>> {
        let element = self.take(key)?;
        match element.content {
            Content::Text(text) if text.trim().is_empty() => {
                let message = format!("`{}` is empty", self.label(key));
                self.faults.error(&element.at, message);
                None
            }
            Content::Text(text) => Some(Located::new(text, element.at)),
            _ => {
                self.wrong(key, "text", &element);
                None
            }
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, key: &str) -> Option<Vec<Located<String>>> {
        let element = self.take(key)?;
        let Content::List(items) = element.content else {
            self.wrong(key, "a list of texts", &element);
            return None;
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match item.content {
                Content::Text(text) if !text.trim().is_empty() => {
                    texts.push(Located::new(text, item.at));
                }
                Content::Text(_) => {
                    let message = format!("`{}` holds an empty text", self.label(key));
                    self.faults.error(&item.at, message);
                }
                other => {
                    let message =
                        format!("`{}` must hold texts, not {}", self.label(key), other.kind());
                    self.faults.error(&item.at, message);
                }
            }
        }
        Some(texts)
    }

    /// True or false.
    pub(crate) fn flag(&mut self, key: &str) -> Option<bool> {
        let element = self.take(key)?;
        if let Content::Bool(flag) = element.content {
            return Some(flag);
        }
        self.wrong(key, "true or false", &element);
        None
    }

    /// A whole number of at least `least`.
    pub(crate) fn number(&mut self, key: &str, least: u32) -> Option<u32> {
        let element = self.take(key)?;
        let Content::Integer(number) = element.content else {
            self.wrong(key, "a whole number", &element);
            return None;
        };
        match u32::try_from(number) {
            Ok(number) if number >= least => Some(number),
            _ => {
                let message = format!(
                    "`{}` must be a whole number from {least} to {}, not {number}",
                    self.label(key),
                    u32::MAX
                );
                self.faults.error(&element.at, message);
                None
            }
        }
    }

    /// One of some words.
    pub(crate) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message =
            format!("`{}` must be one of {}, not `{text}`", self.label(key), quoted(&known));
        let fault = self.faults.error(&text.at, message);
        fault.hint = did_you_mean(&text, known.iter().copied())
            .map(|word| format!("did you mean `{word}`?"));
        None
    }

    /// Text that `read` makes into a value, or a fault that says what was expected.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let element = self.take(key)?;
        let Content::Text(text) = &element.content else {
            let wanted = format!("text like {expected}");
            self.wrong(key, &wanted, &element);
            return None;
        };
        let value = read(text);
        if value.is_none() {
            let message = format!("`{}` must be like {expected}, not `{text}`", self.label(key));
            self.faults.error(&element.at, message);
        }
        value
    }

    /// Opens a table inside this one.
    pub(crate) fn table(
        &mut self,
        key: &str,
        name: &'static str,
        known: &[&str],
    ) -> Option<Fields<'_>> {
        let element = self.take(key)?;
        Fields::open(self.faults, element, name, known)
    }
}

/// `` `a`, `b` and `c` ``.
pub(crate) fn quoted(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [rest @ .., last] => {
            let rest: Vec<String> = rest.iter().map(|word| format!("`{word}`")).collect();
            format!("{} and `{last}`", rest.join(", "))
        }
    }
}
