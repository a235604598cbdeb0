//! The catalogue: real folders, and what is said about each kind of fault between manifests.

use std::fmt::Write as _;
use std::path::Path;

use component::{Code, Diagnostic, Location, Severity};

use super::{Catalogue, Known, Operation, Operations, SourceReader, Sources};
use crate::manifest::{ExtensionManifest, SystemManifest};
use crate::trust::TrustLock;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    fn read(&self, reader: Option<&dyn SourceReader>) -> Result<Catalogue, Vec<Diagnostic>> {
        let system = SystemManifest::read(&self.path().join("Symphony.toml")).unwrap();
        Catalogue::read(&system, Sources { reader, ..Sources::default() })
    }

    /// What `check` finds.
    fn faults(&self) -> String {
        let system = SystemManifest::read(&self.path().join("Symphony.toml")).unwrap();
        self.told(&Catalogue::survey(&system, Sources::default()).1)
    }

    fn told(&self, faults: &[Diagnostic]) -> String {
        let folder = self.path();
        let folder = folder.to_str().unwrap();
        let mut text = String::new();
        for fault in faults {
            let column = fault.location.as_ref().map_or(0, |at| at.column);
            writeln!(text, "{} (column {column}, {})", fault.text(Some(folder)), fault.code)
                .unwrap();
        }
        text.replace(folder, "FOLDER")
    }
}

fn python(name: &str, more: &str) -> String {
    format!("[extension]\nname = \"{name}\"\nentry = \"{name}:extension\"\n{more}")
}

const SYSTEM: &str = "[system]\nextensions = [\"extensions/*\"]\n";

#[test]
fn globs_find_the_folders_that_hold_a_manifest() {
    let folder = Folder::new(&[
        (
            "Symphony.toml",
            "[system]\nextensions = [\"extensions/*\", \"more/**\", \"single\", \"nothing/*\"]\n[extension]\nname = \"own\"\ncommand = [\"true\"]\n",
        ),
        ("extensions/b/Symphony.toml", &python("b", "")),
        ("extensions/b/b/__init__.py", ""),
        ("extensions/a/Symphony.toml", &python("a", "operations = [\"x\"]")),
        ("extensions/a/a.py", ""),
        ("extensions/.hidden/Symphony.toml", "nonsense"),
        ("extensions/README.md", ""),
        ("extensions/plain/README.md", ""),
        ("more/deep/er/Symphony.toml", &python("c", "")),
        ("more/deep/er/c.py", ""),
        ("single/Symphony.toml", &python("d", "")),
        ("single/d.py", ""),
    ]);
    let catalogue = folder.read(None).unwrap();
    let names: Vec<&str> = catalogue.entries().iter().map(super::Entry::name).collect();
    assert_eq!(names, ["a", "b", "c", "d", "own"]);
    assert_eq!(catalogue.target("a"), Some(&Known::Operations(vec![Operation::named("x")])));
    assert_eq!(catalogue.target("b"), Some(&Known::Unverified));
    assert!(catalogue.get("b").unwrap().source.as_ref().unwrap().ends_with("b/b/__init__.py"));
    assert_eq!(
        folder.told(catalogue.notes()).lines().next(),
        Some("warning: `nothing/*` matches no folder that holds a `Symphony.toml`")
    );
}

#[test]
fn globs_match_names_of_folders_by_letters_sets_and_choices() {
    let folder = Folder::new(&[
        (
            "Symphony.toml",
            "[system]\nextensions = [\"x/?1\", \"x/[bc]2\", \"x/{deep,e}/*\", \"x/!*\"]\n",
        ),
        ("x/a1/Symphony.toml", &python("a", "operations = []")),
        ("x/a1/a.py", ""),
        ("x/b2/Symphony.toml", &python("b", "operations = []")),
        ("x/b2/b.py", ""),
        ("x/d2/Symphony.toml", &python("d", "operations = []")),
        ("x/deep/c/Symphony.toml", &python("c", "operations = []")),
        ("x/deep/c/c.py", ""),
        ("x/!e/Symphony.toml", &python("e", "operations = []")),
        ("x/!e/e.py", ""),
    ]);
    let catalogue = folder.read(None).unwrap();
    let names: Vec<&str> = catalogue.entries().iter().map(super::Entry::name).collect();
    assert_eq!(names, ["a", "b", "c", "e"]);
}

#[test]
fn an_entry_that_does_not_exist_is_told() {
    let folder = Folder::new(&[
        (
            "Symphony.toml",
            "[system]\nextensions = [\"extensions/*\", \"absent\", \"extensions/a/Symphony.toml\", \"a[\"]\n",
        ),
        ("extensions/a/Symphony.toml", &python("a", "")),
        ("extensions/b/Symphony.toml", "[extension]\nname = \"b\"\ncommand = [\"./b\", \"-v\"]\n"),
        ("extensions/c/Symphony.toml", "[extension]\nname = \"c\"\nlibrary = \"libc.so\"\n"),
    ]);
    insta::assert_snapshot!(folder.faults(), @"
    error: there is no folder `absent`
      Symphony.toml:2
    hint: the path is relative to this file (column 31, manifest-invalid)
    error: `extensions/a/Symphony.toml` is not a folder
      Symphony.toml:2
    hint: name the folder, not the file in it (column 41, manifest-invalid)
    error: `a[` is not a glob: unclosed character class; missing ']'
      Symphony.toml:2 (column 71, manifest-invalid)
    error: the entry module `a` does not exist
      extensions/a/Symphony.toml:3
    hint: create `FOLDER/extensions/a/a.py`, or correct `entry` (column 9, manifest-invalid)
    error: the program `./b` does not exist
      extensions/b/Symphony.toml:3
    hint: build it, or correct the path: it was looked for at `FOLDER/extensions/b/b` (column 12, manifest-invalid)
    error: the library `FOLDER/extensions/c/libc.so` does not exist
      extensions/c/Symphony.toml:3
    hint: build it, or correct the path: it was looked for at `FOLDER/extensions/c/libc.so` (column 11, manifest-invalid)
    ");
}

#[test]
fn modules_of_other_environments_and_compiled_ones_are_unverified() {
    let folder = Folder::new(&[
        ("Symphony.toml", SYSTEM),
        ("extensions/a/Symphony.toml", &python("a", "python = \".venv/bin/python\"\n")),
        ("extensions/b/Symphony.toml", &python("b", "")),
        ("extensions/b/b.cpython-311-x86_64-linux-gnu.so", ""),
        ("extensions/c/Symphony.toml", &python("c", "")),
        ("site/c.py", ""),
    ]);
    let system = SystemManifest::read(&folder.path().join("Symphony.toml")).unwrap();
    let paths = [folder.path().join("site")];
    let catalogue =
        Catalogue::read(&system, Sources { paths: &paths, ..Sources::default() }).unwrap();
    assert!(["a", "b", "c"].iter().all(|name| catalogue.target(name) == Some(&Known::Unverified)));
    assert!(catalogue.get("c").unwrap().source.as_ref().unwrap().ends_with("site/c.py"));
}

#[test]
fn two_extensions_of_one_name_are_told_with_both_places() {
    let folder = Folder::new(&[
        ("Symphony.toml", SYSTEM),
        ("extensions/a/Symphony.toml", &python("same", "")),
        ("extensions/a/same.py", ""),
        ("extensions/b/Symphony.toml", &format!("# second\n{}", python("same", ""))),
        ("extensions/b/same.py", ""),
    ]);
    insta::assert_snapshot!(folder.faults(), @"
    error: two extensions are called `same`
      extensions/a/Symphony.toml:2  the first
      extensions/b/Symphony.toml:3  the second
    hint: rename one of them, or take its folder out of `extensions` (column 8, duplicate-component)
    ");
}

#[test]
fn a_requirement_that_nobody_provides_is_told() {
    let folder = Folder::new(&[
        (
            "Symphony.toml",
            "[system]\nextensions = [\"extensions/*\"]\nmembers = [\"artifact-store\"]\n",
        ),
        (
            "extensions/a/Symphony.toml",
            &python(
                "outline",
                "requires = [\"artifact-store\", \"outlines\", \"stale-manager\", \"telepathy\"]\n",
            ),
        ),
        ("extensions/a/outline.py", ""),
    ]);
    insta::assert_snapshot!(folder.faults(), @r#"
    error: `outline` needs `outlines`, and nobody provides it
      extensions/a/Symphony.toml:4
    hint: name a member of the Pit or an extension of this system (column 31, missing-dependency)
    error: `outline` needs `stale-manager`, and nobody provides it
      extensions/a/Symphony.toml:4
    hint: add `"stale-manager"` to `members` in `FOLDER/Symphony.toml` (column 43, missing-dependency)
    error: `outline` needs `telepathy`, and nobody provides it
      extensions/a/Symphony.toml:4
    hint: name a member of the Pit or an extension of this system (column 60, missing-dependency)
    "#);
}

#[test]
fn a_circle_of_three_prints_the_place_of_every_edge() {
    let needs = |name: &str, other: &str| python(name, &format!("requires = [\"{other}\"]\n"));
    let folder = Folder::new(&[
        ("Symphony.toml", SYSTEM),
        ("extensions/a/Symphony.toml", &needs("a", "b")),
        ("extensions/b/Symphony.toml", &needs("b", "c")),
        ("extensions/c/Symphony.toml", &needs("c", "a")),
        ("extensions/d/Symphony.toml", &needs("d", "a")),
        ("extensions/a/a.py", ""),
        ("extensions/b/b.py", ""),
        ("extensions/c/c.py", ""),
        ("extensions/d/d.py", ""),
    ]);
    insta::assert_snapshot!(folder.faults(), @"
    error: dependency cycle: `a` -> `b` -> `c` -> `a`
      extensions/a/Symphony.toml:4  `a` requires `b`
      extensions/b/Symphony.toml:4  `b` requires `c`
      extensions/c/Symphony.toml:4  `c` requires `a`
    hint: take one of them out of `requires`: an extension may still call one that it does not require (column 13, dependency-cycle)
    ");
    assert_eq!(folder.read(None).unwrap_err()[0].path, ["a", "b", "c"]);
}

#[test]
fn what_the_source_says_is_joined_with_what_the_manifest_says() {
    struct Reader;
    impl SourceReader for Reader {
        fn operations(
            &self,
            file: &Path,
            attribute: &str,
        ) -> Option<Result<Vec<Operation>, Diagnostic>> {
            assert_eq!(attribute, "extension");
            match file.file_stem()?.to_str()? {
                "a" => Some(Ok(vec![Operation::with_inputs("x", &["source", "limit?"])])),
                "b" => Some(Err(Diagnostic::error(
                    Code::SOURCE_INVALID,
                    "`b.py` has no attribute `extension`",
                )
                .at(Location::new(file.to_str()?, 1, 1)))),
                _ => None,
            }
        }
    }
    let folder = Folder::new(&[
        ("Symphony.toml", SYSTEM),
        ("extensions/a/Symphony.toml", &python("a", "operations = [\"x\", \"y\"]")),
        ("extensions/a/a.py", ""),
        ("extensions/c/Symphony.toml", &python("c", "")),
        ("extensions/c/c.py", ""),
    ]);
    let catalogue = folder.read(Some(&Reader)).unwrap();
    let known = catalogue.target("a").unwrap();
    assert!(known.operation("x").unwrap().inputs.as_ref().unwrap()[0].required);
    assert_eq!(known.operation("y").unwrap().inputs, None);
    assert_eq!(catalogue.target("c"), Some(&Known::Unverified));

    let folder = Folder::new(&[
        ("Symphony.toml", SYSTEM),
        ("extensions/b/Symphony.toml", &python("b", "")),
        ("extensions/b/b.py", "# nothing\n"),
    ]);
    let system = SystemManifest::read(&folder.path().join("Symphony.toml")).unwrap();
    let sources = Sources { reader: Some(&Reader), ..Sources::default() };
    insta::assert_snapshot!(folder.told(&Catalogue::survey(&system, sources).1), @"
    error: `b.py` has no attribute `extension`
      extensions/b/b.py:1           here
      extensions/b/Symphony.toml:3  `b` needs `b:extension` (column 1, source-invalid)
    ");
}

#[test]
fn an_interpreter_of_an_extension_that_no_system_chose_is_asked_only_where_it_is_trusted() {
    struct Reader(parking_lot::Mutex<Vec<String>>);
    impl SourceReader for Reader {
        fn operations(&self, _: &Path, _: &str) -> Option<Result<Vec<Operation>, Diagnostic>> {
            None
        }
        fn interpreter(&self, python: &Path, _: &Location) -> Option<Diagnostic> {
            self.0.lock().push(python.display().to_string());
            None
        }
    }
    let folder = Folder::new(&[("evil", ""), ("a/a.py", ""), ("a/own", ""), ("lock/none", "")]);
    let (place, lock) = (folder.path().join("a"), folder.path().join("lock/trust.json"));
    let reader = Reader(parking_lot::Mutex::default());
    let seen = |interpreter: &str, trusted: bool| {
        let file = place.join("Symphony.toml");
        std::fs::write(&file, python("a", &format!("python = \"{interpreter}\"\n"))).unwrap();
        if trusted {
            TrustLock::trust(&lock, &place).unwrap();
        }
        let manifest = ExtensionManifest::read(&file).unwrap();
        let sources = Sources { reader: Some(&reader), lock: Some(&lock), paths: &[] };
        let found = Catalogue::alone(manifest, sources).1;
        let asked = std::mem::take(&mut *reader.0.lock());
        let codes = found.iter().map(|fault| (fault.severity, fault.code)).collect::<Vec<_>>();
        (asked.len(), codes)
    };
    let note = (Severity::Note, Code::UNVERIFIED);
    for path in ["./own", "../evil", "/bin/sh"] {
        assert_eq!(seen(path, false), (0, vec![note]), "{path}");
    }
    let lacks = (Severity::Error, Code::MANIFEST_INVALID);
    let (asked, mut codes) = seen("./gone", false);
    codes.sort();
    assert_eq!((asked, codes.len()), (0, 2));
    assert!(codes.contains(&note) && codes.contains(&lacks), "{codes:?}");
    assert_eq!(seen("python3", false), (1, vec![]));
    assert_eq!(seen("./own", true), (1, vec![]));
    assert_eq!(seen("/bin/sh", true), (1, vec![]));
    // It was trusted, and what it names has no pin.
    assert_eq!(seen("../evil", true), (0, vec![note]));
}

#[test]
fn a_survey_keeps_the_good_entries_beside_all_faults() {
    let folder = Folder::new(&[
        ("Symphony.toml", SYSTEM),
        ("extensions/a/Symphony.toml", &python("a", "requires = [\"b\"]\n")),
        ("extensions/a/a.py", ""),
        ("extensions/b/Symphony.toml", "[extension]\nname = \"b\"\nentyr = \"b:b\"\n"),
    ]);
    let system = SystemManifest::read(&folder.path().join("Symphony.toml")).unwrap();
    let (catalogue, faults) = Catalogue::survey(&system, Sources::default());
    assert_eq!(catalogue.targets(), ["a"]);
    // The unknown key and the lacking entry; not that `a` requires something that does not exist.
    assert_eq!(faults.len(), 2, "{faults:?}");
}

#[test]
fn a_system_goes_on_without_what_it_can_do_without_and_says_why() {
    let folder = Folder::new(&[
        ("Symphony.toml", SYSTEM),
        ("extensions/a/Symphony.toml", &python("a", "requires = [\"b\"]")),
        ("extensions/a/a.py", ""),
        ("extensions/b/Symphony.toml", &python("b", "oeprations = [\"x\"]")),
        ("extensions/b/b.py", ""),
        ("extensions/c/Symphony.toml", "[extension]\nname = \"c\"\ncommand = [\"./missing\"]\n"),
        (
            "extensions/d/Symphony.toml",
            &python(
                "d",
                "activation = \"eager\"\nrequired = false\nrequires = [\"nobody\"]\nqueue = 3",
            ),
        ),
    ]);
    let catalogue = folder.read(None).unwrap();
    let fault = |name: &str| catalogue.get(name).unwrap().manifest.fault.clone();
    assert_eq!(fault("a"), None);
    assert!(fault("b").unwrap().contains("did you mean `operations`"));
    assert!(fault("c").unwrap().contains("the program `./missing` does not exist"));
    assert!(fault("d").unwrap().contains("unknown key `queue`"));
    // `check` calls each of them a fault.
    let told = folder.faults();
    for word in ["oeprations", "./missing", "queue"] {
        assert!(told.contains(word), "{told}");
    }
}

#[test]
fn what_is_needed_at_boot_is_a_fault_of_the_whole() {
    let folder = Folder::new(&[
        ("Symphony.toml", SYSTEM),
        ("extensions/a/Symphony.toml", &python("a", "activation = \"eager\"\ncolour = 1")),
        ("extensions/a/a.py", ""),
        ("extensions/b/Symphony.toml", &python("b", "activatoin = \"lazy\"")),
        ("extensions/b/b.py", ""),
    ]);
    let told = folder.told(&folder.read(None).unwrap_err());
    assert!(told.contains("colour") && told.contains("activatoin"), "{told}");
}
