//! `${id}`, `${id.key}`, `${inputs.name}`: how nodes use each other's results.

use std::fmt;

use component::Location;

use crate::document::Located;

/// Where a referenced value comes from, and which part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Whose value.
    pub origin: Origin,
    /// The keys into it; none: all of it.
    pub path: Vec<String>,
}

/// Whose value a reference means.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An input of the run.
    Input(String),
    /// A node's result.
    Node(String),
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Input(name) => write!(out, "${{inputs.{name}")?,
            Origin::Node(id) => write!(out, "${{{id}")?,
        }
        for key in &self.path {
            write!(out, ".{key}")?;
        }
        out.write_str("}")
    }
}

/// A piece of a text with references in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// Text as it stands.
    Text(String),
    /// A value that is put in as text.
    Reference(Located<Reference>),
}

/// The word before the dot that means the run's inputs; no node may be called so.
pub(super) const INPUTS: &str = "inputs";

/// Cuts a text into pieces. `$${` is a literal `${`.
///
/// # Errors
/// What is wrong with a reference.
pub(super) fn pieces(text: &str, at: &Location) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if let Some(before) = rest[..start].strip_suffix('$') {
            plain.push_str(before);
            plain.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        plain.push_str(&rest[..start]);
        let inside = &rest[start + 2..];
        let Some(end) = inside.find('}') else {
            return Err(format!("`}}` is missing after `{}`", &rest[start..]));
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Reference(Located::new(parse(&inside[..end])?, at.clone())));
        rest = &inside[end + 1..];
    }
    plain.push_str(rest);
    if !plain.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

fn parse(inside: &str) -> Result<Reference, String> {
    let mut words = inside.split('.').map(|word| word.trim().to_owned());
    let first = words.next().unwrap_or_default();
    let mut path: Vec<String> = words.collect();
    if first.is_empty() || path.iter().any(String::is_empty) {
        return Err(format!("`${{{inside}}}` is not a reference"));
    }
    let origin = if first == INPUTS {
        if path.is_empty() {
            return Err(format!("`${{{inside}}}` names no input; write `${{inputs.name}}`"));
        }
        Origin::Input(path.remove(0))
    } else {
        Origin::Node(first)
    };
    Ok(Reference { origin, path })
}

#[cfg(test)]
mod tests {
    use component::Location;

    use super::{Origin, Piece, pieces};

    fn shown(text: &str) -> Result<Vec<String>, String> {
        let pieces = pieces(text, &Location::new("m", 1, 1))?;
        Ok(pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => format!("text {text}"),
                Piece::Reference(reference) => match &reference.origin {
                    Origin::Input(name) => format!("input {name} {:?}", reference.path),
                    Origin::Node(id) => format!("node {id} {:?}", reference.path),
                },
            })
            .collect())
    }

    #[test]
    fn a_text_is_cut_into_its_pieces() {
        assert_eq!(shown("${read}"), Ok(vec!["node read []".to_owned()]));
        assert_eq!(shown("${a.b.c}"), Ok(vec!["node a [\"b\", \"c\"]".to_owned()]));
        assert_eq!(
            shown("see ${inputs.path}!"),
            Ok(vec!["text see ".to_owned(), "input path []".to_owned(), "text !".to_owned()])
        );
        assert_eq!(shown("costs $${5} $5"), Ok(vec!["text costs ${5} $5".to_owned()]));
        assert_eq!(shown(""), Ok(vec!["text ".to_owned()]));
    }

    #[test]
    fn a_broken_reference_says_what_is_wrong() {
        for text in ["${", "${}", "${a.}", "${.a}", "${inputs}"] {
            assert!(shown(text).is_err(), "{text}");
        }
    }
}
