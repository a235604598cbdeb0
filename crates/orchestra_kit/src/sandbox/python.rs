//! What an interpreter has to read: its installation, its environment, and the folders that are on its `sys.path`.
//!
//! Of the supervisor's own interpreter its Python side tells; of others it is read from their files. Called by
//! [`super::policy`] and by the supervisor's process. Invariant: nothing is executed to find out, and a prefix is never
//! granted as a whole unless it is an environment made for that: `/usr` and a home folder may be one.

use std::path::{Path, PathBuf};

use super::programs::text;

/// What of an installation is read.
const PARTS: &[&str] = &["bin", "lib", "lib32", "lib64", "include", "share", "ssl"];

/// An interpreter's folders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interpreter {
    /// Files and folders to read.
    pub read: Vec<PathBuf>,
}

impl Interpreter {
    /// One that told its prefixes, the files and folders that its modules come from, and the files of its import hooks
    /// that find editable packages.
    pub fn told(
        prefixes: impl IntoIterator<Item = PathBuf>,
        path: impl IntoIterator<Item = PathBuf>,
        finders: impl IntoIterator<Item = PathBuf>,
    ) -> Self {
        let mut read: Vec<_> =
            prefixes.into_iter().flat_map(|prefix| installation(&prefix)).collect();
        let found = finders.into_iter().flat_map(|finder| found_by(&finder));
        read.extend(
            path.into_iter()
                .chain(found)
                .filter(|entry| entry.is_absolute() && entry.parent().is_some()),
        );
        read.sort();
        read.dedup();
        Self { read }
    }

    /// One that is read from its files: its environment (`pyvenv.cfg`), the installation that this comes from, and what
    /// their `.pth` files name.
    pub(super) fn of(program: &Path) -> Self {
        let mut prefixes = Vec::new();
        let prefix_of = |file: &Path| file.parent().and_then(Path::parent).map(Path::to_owned);
        if let Some(prefix) = prefix_of(program) {
            let settings = text(&prefix.join("pyvenv.cfg"));
            let home = settings.lines().find_map(|line| {
                let (key, value) = line.split_once('=')?;
                (key.trim() == "home").then(|| PathBuf::from(value.trim()))
            });
            prefixes.extend(home.as_deref().and_then(Path::parent).map(Path::to_owned));
            prefixes.push(prefix);
        }
        prefixes.extend(std::fs::canonicalize(program).ok().as_deref().and_then(prefix_of));
        let path: Vec<_> = prefixes.iter().flat_map(|prefix| linked(prefix)).collect();
        Self::told(prefixes, path, [])
    }
}

/// Whether a program is a Python interpreter, by its name.
pub(super) fn is_python(program: &Path) -> bool {
    let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.strip_prefix("python")
        .is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

fn installation(prefix: &Path) -> Vec<PathBuf> {
    // The installation of `/bin/python3` is the whole machine; what of it is read is granted anyway.
    if prefix.parent().is_none() {
        return Vec::new();
    }
    if prefix.join("pyvenv.cfg").is_file() {
        return vec![prefix.to_owned()];
    }
    PARTS.iter().map(|part| prefix.join(part)).filter(|part| part.exists()).collect()
}

/// What the `.pth` files of an installation add to `sys.path`, and where its editable packages lie.
fn linked(prefix: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let libraries = std::fs::read_dir(prefix.join("lib")).into_iter().flatten().flatten();
    let versions =
        libraries.filter(|entry| entry.file_name().to_string_lossy().starts_with("python"));
    for version in versions {
        for packages in ["site-packages", "dist-packages"] {
            let packages = version.path().join(packages);
            for entry in std::fs::read_dir(&packages).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if is_finder(&name) {
                    found.extend(found_by(&entry.path()));
                } else if name.ends_with(".pth") {
                    let text = text(&entry.path());
                    let lines = text
                        .lines()
                        .filter(|line| !line.starts_with('#') && !line.starts_with("import "));
                    found.extend(
                        lines
                            .filter(|line| !line.trim().is_empty())
                            .map(|line| packages.join(line)),
                    );
                }
            }
        }
    }
    found.retain(|path| path.exists());
    found
}

/// Whether a module in `site-packages` finds an editable package, by the names that setuptools, scikit-build and
/// meson-python give it.
fn is_finder(name: &str) -> bool {
    let Some(module) = name.strip_suffix(".py") else { return false };
    let beginning = module.starts_with("__editable__") && module.ends_with("_finder");
    beginning || module.ends_with("_editable") || module.ends_with("_editable_loader")
}

/// Where such a module leads: every path that stands in it as a text. Each tool has a form of its own, and a path that is
/// there is in all of them whole; what is a module without its suffix is a file.
fn found_by(finder: &Path) -> Vec<PathBuf> {
    let text = text(finder);
    let quoted =
        text.split(['\'', '"']).filter(|part| part.starts_with('/') && !part.contains('\n'));
    let file = |part: &str| Some(PathBuf::from(part)).filter(|path| path.exists());
    let mut found: Vec<_> = quoted
        .map(|part| file(part).unwrap_or_else(|| PathBuf::from(format!("{part}.py"))))
        .collect();
    // The folder of a package that is named by its first file has the rest of it.
    let packages = found.iter().filter(|path| path.ends_with("__init__.py"));
    let packages: Vec<_> = packages.filter_map(|path| path.parent().map(Path::to_owned)).collect();
    found.extend(packages);
    found.retain(|path| path.exists());
    found
}
