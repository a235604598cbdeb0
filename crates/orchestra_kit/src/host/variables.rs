//! The variables that one guest gets beyond the supervisor's own.
//!
//! Called by the process host before a run. Invariant: none but those that its manifest grants, and what its start needs.

use std::path::PathBuf;

use crate::manifest::ExtensionManifest;
use crate::sandbox::Policy;
use crate::supervisor::Environment;

/// The variables that the manifest grants and the system was given.
pub(super) fn granted(
    manifest: &ExtensionManifest,
    environment: &Environment,
) -> Vec<(String, String)> {
    let value = |name: &String| Some((name.clone(), environment.get(name)?.to_str()?.to_owned()));
    manifest.permissions.env.iter().filter_map(|name| value(&name.value)).collect()
}

/// The same with what a trusted extension of a project is started with: code that is not pinned is not read.
pub(super) fn environment(
    manifest: &ExtensionManifest,
    given: &Environment,
) -> Vec<(String, String)> {
    let mut variables = granted(manifest, given);
    if manifest.trust.is_some() {
        let name = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        variables.push(name("PYTHONDONTWRITEBYTECODE", "1"));
        // No file lies below it: sources are compiled anew.
        variables.push(name("PYTHONPYCACHEPREFIX", "/dev/null"));
    }
    variables
}

/// Under a list of hosts there are no datagrams, so the C library is told to ask resolvers over a connection.
pub(super) fn resolver_options(
    policy: &Policy,
    given: &[(String, String)],
) -> Option<(String, String)> {
    const NAME: &str = "RES_OPTIONS";
    if policy.network.hosts().is_empty() {
        return None;
    }
    let granted = given.iter().find(|(name, _)| name == NAME).map_or("", |(_, value)| value);
    Some((NAME.to_owned(), format!("{granted} use-vc").trim_start().to_owned()))
}

/// Variables that are read when a program is executed, by the loader, the C library or the interpreter: a process that
/// is forked from another never sees them.
pub(super) fn is_read_at_exec(name: &str) -> bool {
    const BEGINNINGS: [&str; 5] = ["LD_", "DYLD_", "PYTHON", "MALLOC_", "GLIBC_TUNABLES"];
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) || name.ends_with("SAN_OPTIONS")
}

/// Where the loader and the interpreter look because of these variables: to grant one of them is to grant that.
pub(super) fn places(variables: &[(String, String)]) -> Vec<PathBuf> {
    let separators: fn(&str) -> &'static [char] = |name| match name {
        "LD_LIBRARY_PATH" => &[':', ';'],
        "LD_PRELOAD" | "LD_AUDIT" => &[':', ' '],
        "PYTHONPATH" => &[':'],
        _ => &[],
    };
    let lists = variables.iter().map(|(name, value)| (separators(name), value));
    let entries = lists.filter(|(at, _)| !at.is_empty()).flat_map(|(at, value)| value.split(at));
    let places = entries.map(PathBuf::from);
    places.filter(|place| place.is_absolute() && place.parent().is_some()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_loaders_lists_name_is_read_and_nothing_else() {
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let variables = [
            set("LD_LIBRARY_PATH", "/a:/b;/c::relative:/"),
            set("LD_PRELOAD", "/d.so /e.so:f.so"),
            set("PYTHONPATH", "/g"),
            set("HOME", "/home/somebody"),
        ];
        let named: Vec<_> = ["/a", "/b", "/c", "/d.so", "/e.so", "/g"].map(PathBuf::from).into();
        assert_eq!(places(&variables), named);
    }
}
