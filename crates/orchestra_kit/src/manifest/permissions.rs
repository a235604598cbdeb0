//! `[extension.permissions]`: what an extension may do. Nothing is granted that is not written here.

use std::path::{Component, Path, PathBuf};

use component::{Location, did_you_mean};

use super::network::Network;
use crate::document::{Element, Faults, Fields, Located};

/// The grants of one extension, as written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permissions {
    /// Where `[extension.permissions]` stands, where it does.
    pub at: Option<Location>,
    /// Paths that it may read; see [`Permissions::resolve`].
    pub read: Vec<Located<String>>,
    /// Paths that it may write.
    pub write: Vec<Located<String>>,
    /// What of the network it may use.
    pub network: Network,
    /// Programs that it may run.
    pub run: Vec<Located<String>>,
    /// Environment variables that it sees.
    pub env: Vec<Located<String>>,
    /// Operations that it may call: `member.operation`, `extension.*`.
    pub calls: Vec<Located<String>>,
}

/// What the variables in granted paths stand for.
#[derive(Debug, Clone, Copy)]
pub struct Roots<'a> {
    /// The opened project.
    pub workspace: &'a Path,
    /// The folder of the system's manifest.
    pub system: &'a Path,
    /// The interpreter's installation.
    pub python: &'a Path,
}

const VARIABLES: [&str; 3] = ["workspace", "system", "python"];

impl Permissions {
    pub(super) const KEYS: &[&str] = &["read", "write", "network", "run", "env", "calls"];

    pub(super) fn read(faults: &mut Faults, element: Element, manifest: &Path) -> Option<Self> {
        let mut fields = Fields::open(faults, element, "extension.permissions", Self::KEYS)?;
        let permissions = Self {
            at: Some(fields.at().clone()),
            read: fields.texts("read").unwrap_or_default(),
            write: fields.texts("write").unwrap_or_default(),
            network: Network::read(&mut fields),
            run: fields.texts("run").unwrap_or_default(),
            env: fields.texts("env").unwrap_or_default(),
            calls: fields.texts("calls").unwrap_or_default(),
        };
        for path in permissions.read.iter().chain(&permissions.write) {
            check_path(faults, path);
        }
        let folder = manifest.parent().unwrap_or(manifest);
        for path in permissions.write.iter().filter(|path| !path.contains("${")) {
            let granted = folder.join(&path.value);
            // A larger folder that holds both is another matter, of which the report of grants tells.
            if !Self::covers(&granted, manifest) || !Self::covers(folder, &granted) {
                continue;
            }
            let message = format!(
                "`write = [\"{path}\"]` covers the extension's own manifest, in which it could grant itself more"
            );
            faults.error(&path.at, message).hint = Some(
                "grant the folder below it that it writes to; `data`, beside `$TMPDIR`, is always its own"
                    .to_owned(),
            );
        }
        for variable in &permissions.env {
            if variable.contains(['=', '\0']) {
                faults
                    .error(&variable.at, format!("`{variable}` is not the name of a variable"))
                    .hint =
                    Some("grant the name alone; its value comes from the environment".to_owned());
            }
        }
        for call in &permissions.calls {
            let lawful = call
                .split_once('.')
                .is_some_and(|(target, operation)| super::is_name(target) && !operation.is_empty());
            if !lawful {
                faults.error(&call.at, format!("`{call}` is not a call")).hint =
                    Some("write `member.operation`, or `member.*` for all of them".to_owned());
            }
        }
        Some(permissions)
    }

    /// Whether the extension may call this operation (`artifact-store.put`).
    pub fn grants_call(&self, call: &str) -> bool {
        self.calls.iter().any(|granted| match granted.strip_suffix('*') {
            Some(prefix) => call.starts_with(prefix),
            None => granted.value == call,
        })
    }

    /// Whether whoever may write to a path may write to that file: as the kernel goes, through links.
    pub(crate) fn covers(granted: &Path, file: &Path) -> bool {
        // What is not there yet is taken by its name.
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| without_dots(path));
        real(file).starts_with(real(granted))
    }

    /// A granted path as an absolute one: relative to the extension's folder, variables replaced.
    pub fn resolve(path: &str, folder: &Path, roots: &Roots<'_>) -> PathBuf {
        let Some((variable, rest)) = path.strip_prefix("${").and_then(|rest| rest.split_once('}'))
        else {
            return folder.join(path);
        };
        let root = match variable {
            "workspace" => roots.workspace,
            "system" => roots.system,
            "python" => roots.python,
            _ => return folder.join(path),
        };
        match rest.trim_start_matches('/') {
            "" => root.to_owned(),
            rest => root.join(rest),
        }
    }
}

/// A path without `.` and `..`.
pub(super) fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

fn check_path(faults: &mut Faults, path: &Located<String>) {
    if path.value == "~" || path.starts_with("~/") {
        // As a shell reads it, it would be granted more than is meant here, and here nothing is there.
        faults.error(&path.at, format!("`~` stands for no folder, in `{path}`")).hint =
            Some("write the path in full, or from `${workspace}`".to_owned());
    }
    let Some(start) = path.find("${") else { return };
    let rest = &path[start + 2..];
    let variable = rest.split('}').next().unwrap_or_default();
    let message = if start > 0 {
        format!("a variable must begin the path, in `{path}`")
    } else if !rest.contains('}') {
        format!("`}}` is missing in `{path}`")
    } else if !VARIABLES.contains(&variable) {
        format!("unknown variable `${{{variable}}}`")
    } else {
        return;
    };
    faults.error(&path.at, message).hint = Some(match did_you_mean(variable, VARIABLES) {
        Some(meant) if !VARIABLES.contains(&variable) => format!("did you mean `${{{meant}}}`?"),
        _ => "known variables: `${workspace}`, `${system}` and `${python}`".to_owned(),
    });
}
