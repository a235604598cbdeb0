//! The variables that a system was given: what its processes get is chosen from them.
//!
//! Made by whoever opens a system, read by [`super::own_process`] and the process host. Invariant: this crate never asks the
//! process for its variables. `setenv` moves them while another thread reads, and neither CPython nor a native module
//! that is being imported takes the lock of Rust's standard library for it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

/// A copy of a process's variables at one moment. Cheap to clone.
#[derive(Clone, Default)]
pub struct Environment {
    variables: Arc<BTreeMap<OsString, OsString>>,
}

impl Environment {
    /// The value of that variable.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Every variable, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Where temporary files belong: `TMPDIR`, else `/tmp`.
    pub fn temporary_folder(&self) -> PathBuf {
        self.get("TMPDIR").filter(|value| !value.is_empty()).unwrap_or(OsStr::new("/tmp")).into()
    }
}

/// Names alone: a value may be a secret.
impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.variables.keys()).finish()
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables =
            variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables: Arc::new(variables) }
    }
}

#[cfg(test)]
mod tests {
    use super::Environment;

    #[test]
    fn the_temporary_folder_is_the_one_that_was_given() {
        let given = |value: &str| Environment::from_iter([("TMPDIR", value)]).temporary_folder();
        assert_eq!(given("/given").to_str(), Some("/given"));
        assert_eq!(given("").to_str(), Some("/tmp"));
        assert_eq!(Environment::default().temporary_folder().to_str(), Some("/tmp"));
    }

    #[test]
    fn a_value_is_not_printed() {
        let environment = Environment::from_iter([("TOKEN", "secret")]);
        assert_eq!(format!("{environment:?}"), "{\"TOKEN\"}");
    }
}
