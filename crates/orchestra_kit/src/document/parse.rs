//! From a text to its tree, in either of the two languages.
//!
//! Called by the manifest and Melody readers. It stands above the two parsers, which know the text and not each other.

use component::{Code, Diagnostic};

use super::{Element, Source, json, toml};

impl Source {
    /// Parses the text as TOML.
    ///
    /// # Errors
    /// One diagnostic for each syntax error.
    pub fn toml(&self, code: Code) -> Result<Element, Vec<Diagnostic>> {
        toml::parse(self, code)
    }

    /// Parses the text as JSON.
    ///
    /// # Errors
    /// A diagnostic for the first syntax error.
    pub fn json(&self, code: Code) -> Result<Element, Vec<Diagnostic>> {
        json::parse(self, code).map_err(|fault| vec![fault])
    }
}
