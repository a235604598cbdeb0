//! Manifests: what the design's examples mean, and what is said about each kind of bad input.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use component::{Diagnostic, Phase};

use super::{
    Activation, Durability, Entry, Execution, Kind, Manifest, Member, Permissions, Roots,
    SystemManifest,
};
use crate::document::Source;

fn read(text: &str) -> Result<Manifest, Vec<Diagnostic>> {
    Manifest::from_source(&Source::from_text("/w/Symphony.toml", text))
}

/// All faults as a person reads them, with their columns.
fn faults(text: &str) -> String {
    told(&read(text).unwrap_err(), "/w")
}

fn told(faults: &[Diagnostic], folder: &str) -> String {
    let mut text = String::new();
    for fault in faults {
        let column = fault.location.as_ref().map_or(0, |at| at.column);
        writeln!(text, "{} (column {column}, {})", fault.text(Some(folder)), fault.code).unwrap();
    }
    text.replace(folder, "FOLDER")
}

const SYSTEM: &str = r#"
[system]
name = "ide"
extensions = ["extensions/*"]
state = ".state"
workspace = "."
python = "bin/python3"
members = ["artifact-store", "pool-manager"]
durability = "power"
slots = 8
[system.budgets]
ready = "2s"
overhead = "200ms"
memory = "50MiB"
[system.phases.pit]
timeout = "5s"
budget = "20ms"
"#;

#[test]
fn a_system_says_what_the_design_says() {
    let system = read(SYSTEM).unwrap().system.unwrap();
    assert_eq!(
        (system.name.as_str(), system.extensions[0].value.as_str()),
        ("ide", "extensions/*")
    );
    assert_eq!(system.extensions[0].at.to_string(), "/w/Symphony.toml:4:15");
    assert_eq!(
        (system.state.as_path(), system.workspace.as_path()),
        (Path::new("/w/.state"), Path::new("/w"))
    );
    assert_eq!(system.python.as_deref(), Some(Path::new("/w/bin/python3")));
    assert_eq!(system.members, [Member::ArtifactStore, Member::PoolManager]);
    assert_eq!((system.durability, system.slots), (Durability::Power, Some(8)));
    assert_eq!(system.budgets.overhead, Some(Duration::from_millis(200)));
    assert_eq!(system.budgets.memory, Some(50 << 20));
    assert_eq!(system.phases[&Phase::Pit].budget, Some(Duration::from_millis(20)));
}

#[test]
fn a_bare_system_has_the_defaults() {
    let system = read("[system]").unwrap().system.unwrap();
    assert_eq!((system.name.as_str(), system.members.len(), system.slots), ("w", 5, None));
    assert_eq!(system.state, Path::new("/w/.symphony"));
}

const EXTENSION: &str = r#"
[extension]
name = "outline"
version = "0.1.0"
kind = "instrument"
execution = "process"
entry = "outline:extension"
python = "python3"
activation = "eager"
on = ["file:*.py"]
required = false
requires = ["artifact-store"]
operations = ["outline"]
player = true
[extension.permissions]
read = ["${workspace}/src", "data"]
write = []
network = true
run = ["ruff"]
env = ["OPENAI_API_KEY"]
calls = ["artifact-store.*", "imports.imports"]
[extension.limits]
memory = "256MiB"
queue = 16
start = "3s"
[extension.restart]
budget = 1
window = "1min"
"#;

#[test]
fn an_extension_says_what_the_design_says() {
    let extension = read(EXTENSION).unwrap().extension.unwrap();
    assert_eq!((extension.kind, extension.execution), (Kind::Instrument, Execution::Process));
    let Entry::Python(entry) = &extension.entry else { panic!("a Python entry") };
    assert_eq!((entry.module.as_str(), entry.attribute.as_str()), ("outline", "extension"));
    assert_eq!(extension.python.as_deref(), Some(Path::new("python3")), "a bare name is looked up");
    assert_eq!(
        (extension.activation, extension.required, extension.player),
        (Activation::Eager, false, true)
    );
    assert_eq!(extension.limits.memory, Some(256 << 20));
    assert_eq!((extension.limits.queue, extension.start_deadline()), (16, Duration::from_secs(3)));
    assert_eq!((extension.restart.budget, extension.restart.window), (1, Duration::from_secs(60)));
    let permissions = &extension.permissions;
    assert!(permissions.network.is_all());
    for (call, granted) in [
        ("artifact-store.put", true),
        ("imports.imports", true),
        ("imports.other", false),
        ("artifact-stores.put", false),
    ] {
        assert_eq!(permissions.grants_call(call), granted, "{call}");
    }
    let roots =
        Roots { workspace: Path::new("/p"), system: Path::new("/s"), python: Path::new("/y") };
    let resolved = |path| Permissions::resolve(path, &extension.folder, &roots);
    assert_eq!(resolved("${workspace}/src"), Path::new("/p/src"));
    assert_eq!(resolved("${python}"), Path::new("/y"));
    assert_eq!(resolved("data"), Path::new("/w/data"));
}

#[test]
fn a_small_extension_has_the_defaults() {
    let extension =
        read("[extension]\nname = \"a\"\nlibrary = \"liba.so\"").unwrap().extension.unwrap();
    assert_eq!((extension.execution, extension.activation), (Execution::Pit, Activation::Lazy));
    assert!(extension.required && !extension.player && extension.permissions.network.is_refused());
    assert_eq!(extension.start_deadline(), Duration::from_secs(10));
    assert_eq!((extension.limits.queue, extension.restart.budget), (256, 3));
}

#[test]
fn every_unknown_key_is_told_with_what_was_meant() {
    let text = "colour = 1\n[system]\nextension = []\n[system.budget]\n[extension]\nname = \"a\"\nentry = \"a:b\"\n[extension.permissions]\nnetwrok = true\n[extension.limits]\nqueues = 1\n";
    insta::assert_snapshot!(faults(text), @"
    error: unknown key `colour`
      Symphony.toml:1
    hint: known keys: `system` and `extension` (column 1, manifest-invalid)
    error: unknown key `extension` in `system`
      Symphony.toml:3
    hint: did you mean `extensions`? (column 1, manifest-invalid)
    error: unknown key `budget` in `system`
      Symphony.toml:4
    hint: did you mean `budgets`? (column 9, manifest-invalid)
    error: unknown key `netwrok` in `extension.permissions`
      Symphony.toml:9
    hint: did you mean `network`? (column 1, manifest-invalid)
    error: unknown key `queues` in `extension.limits`
      Symphony.toml:11
    hint: did you mean `queue`? (column 1, manifest-invalid)
    ");
}

#[test]
fn every_wrong_type_and_value_is_told() {
    let text = r#"
[system]
name = 3
extensions = "extensions/*"
members = ["artefact-store", "dag-tracker"]
durability = "powre"
slots = 0
[system.budgets]
ready = 2
memory = "50M"
[system.phases]
pit = "fast"
[system.phases.pits]
timeout = "1s"
[extension]
name = "out.line"
kind = "operater"
entry = "outline.py"
required = "yes"
requires = ["", 3]
[extension.permissions]
read = ["${workspcae}/x", "a/${system}", "${system", "~/x"]
env = ["A=b"]
calls = ["put"]
[extension.limits]
queue = 1.5
[extension.restart]
budget = -1
window = "soon"
"#;
    insta::assert_snapshot!(faults(text), @r#"
    error: `system.name` must be text, not a whole number
      Symphony.toml:3 (column 8, manifest-invalid)
    error: `system.extensions` must be a list of texts, not text
      Symphony.toml:4 (column 14, manifest-invalid)
    error: the Pit has no member `artefact-store`
      Symphony.toml:5
    hint: did you mean `artifact-store`? (column 12, manifest-invalid)
    error: `dag-tracker` needs `pool-manager`, which `system.members` leaves out
      Symphony.toml:5
    hint: add `"pool-manager"` to `members` (column 30, manifest-invalid)
    error: `system.durability` must be one of `process` and `power`, not `powre`
      Symphony.toml:6
    hint: did you mean `power`? (column 14, manifest-invalid)
    error: `system.slots` must be a whole number from 1 to 4294967295, not 0
      Symphony.toml:7 (column 9, manifest-invalid)
    error: `system.budgets.ready` must be text like `2s`, not a whole number
      Symphony.toml:9 (column 9, manifest-invalid)
    error: `system.budgets.memory` must be like `50MiB`, not `50M`
      Symphony.toml:10 (column 10, manifest-invalid)
    error: `system.phases.pit` must be a table, not text
      Symphony.toml:12 (column 7, manifest-invalid)
    error: unknown key `pits` in `system.phases`
      Symphony.toml:13
    hint: did you mean `pit`? (column 16, manifest-invalid)
    error: `out.line` cannot name an extension
      Symphony.toml:16
    hint: use letters, digits, `-` and `_` (column 8, manifest-invalid)
    error: `extension.kind` must be one of `instrument`, `operator` and `motif`, not `operater`
      Symphony.toml:17
    hint: did you mean `operator`? (column 8, manifest-invalid)
    error: `extension.entry` must be `module:attribute`, not `outline.py`
      Symphony.toml:18
    hint: write `entry = "outline:extension"` (column 9, manifest-invalid)
    error: `extension.required` must be true or false, not text
      Symphony.toml:19 (column 12, manifest-invalid)
    error: `extension.requires` holds an empty text
      Symphony.toml:20 (column 13, manifest-invalid)
    error: `extension.requires` must hold texts, not a whole number
      Symphony.toml:20 (column 17, manifest-invalid)
    error: unknown variable `${workspcae}`
      Symphony.toml:22
    hint: did you mean `${workspace}`? (column 9, manifest-invalid)
    error: a variable must begin the path, in `a/${system}`
      Symphony.toml:22
    hint: known variables: `${workspace}`, `${system}` and `${python}` (column 27, manifest-invalid)
    error: `}` is missing in `${system`
      Symphony.toml:22
    hint: known variables: `${workspace}`, `${system}` and `${python}` (column 42, manifest-invalid)
    error: `~` stands for no folder, in `~/x`
      Symphony.toml:22
    hint: write the path in full, or from `${workspace}` (column 54, manifest-invalid)
    error: `A=b` is not the name of a variable
      Symphony.toml:23
    hint: grant the name alone; its value comes from the environment (column 8, manifest-invalid)
    error: `put` is not a call
      Symphony.toml:24
    hint: write `member.operation`, or `member.*` for all of them (column 10, manifest-invalid)
    error: `extension.limits.queue` must be a whole number, not a number with a fraction
      Symphony.toml:26 (column 9, manifest-invalid)
    error: `extension.restart.budget` must be a whole number from 0 to 4294967295, not -1
      Symphony.toml:28 (column 10, manifest-invalid)
    error: `extension.restart.window` must be like `5min`, not `soon`
      Symphony.toml:29 (column 10, manifest-invalid)
    "#);
}

#[test]
fn what_is_missing_or_too_much_is_told() {
    insta::assert_snapshot!(faults(""), @"
    error: the file has neither `[system]` nor `[extension]`
      Symphony.toml:1
    hint: a system's manifest begins with `[system]`, an extension's with `[extension]` (column 1, manifest-invalid)
    ");
    insta::assert_snapshot!(faults("[extension]\nversion = \"1\""), @r#"
    error: `extension` lacks `name`
      Symphony.toml:1
    hint: write `name = "…"`; it is the first half of each call (column 1, manifest-invalid)
    error: `extension` lacks `entry`
      Symphony.toml:1
    hint: write `entry = "module:attribute"`, `command = ["./program"]` or `library = "file.so"` (column 1, manifest-invalid)
    "#);
    insta::assert_snapshot!(faults("[extension]\nname = \"dag-tracker\"\nentry = \"a:b\"\ncommand = []\nsha256 = \"12\""), @"
    error: `dag-tracker` is a member of the Pit
      Symphony.toml:2
    hint: choose another name (column 8, manifest-invalid)
    error: `entry` and `command` exclude each other
      Symphony.toml:4
    hint: keep one of them (column 1, manifest-invalid)
    error: `extension.sha256` must be 64 hexadecimal digits
      Symphony.toml:5
    hint: `sha256sum FILE` prints it (column 10, manifest-invalid)
    ");
    insta::assert_snapshot!(faults("[extension]\nname = \"a\"\nexecution = \"process\"\nlibrary = \"a.so\""), @r#"
    error: a library runs in the process
      Symphony.toml:3
    hint: write `execution = "pit"` (column 1, manifest-invalid)
    "#);
    insta::assert_snapshot!(faults("system = 3"), @"
    error: `system` must be a table, not a whole number
      Symphony.toml:1 (column 10, manifest-invalid)
    ");
}

#[test]
fn every_syntax_error_has_its_place() {
    insta::assert_snapshot!(faults("[system]\nname = \"ide\nextensions = [\"a\"]\n"), @r#"
    error: this is not TOML: invalid basic string, expected `"`
      Symphony.toml:2 (column 12, manifest-invalid)
    "#);
    insta::assert_snapshot!(faults("[system\nname = \"a\"\n"), @"
    error: this is not TOML: unclosed table, expected `]`
      Symphony.toml:1 (column 8, manifest-invalid)
    ");
    insta::assert_snapshot!(faults("[system]\nname = \"a\"\nname = \"b\"\n"), @"
    error: this is not TOML: duplicate key
      Symphony.toml:3 (column 1, manifest-invalid)
    ");
}

#[test]
fn a_file_that_cannot_be_read_is_told_by_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let shown = |name: &str| {
        told(&SystemManifest::read(&root.join(name)).unwrap_err(), root.to_str().unwrap())
    };
    std::fs::write(root.join("latin.toml"), b"[system]\nname = \"caf\xe9\"\n").unwrap();
    std::fs::write(root.join("extension.toml"), "[extension]\nname = \"a\"\nentry = \"a:b\"\n")
        .unwrap();
    std::fs::create_dir(root.join("inside")).unwrap();
    std::fs::create_dir(root.join("empty")).unwrap();
    std::fs::write(root.join("inside/Symphony.toml"), "[system]\n").unwrap();
    insta::assert_snapshot!(shown("absent.toml"), @"
    error: `FOLDER/absent.toml` does not exist
      absent.toml:1
    hint: check the path; it is relative to the working directory (column 1, manifest-invalid)
    ");
    insta::assert_snapshot!(shown("inside"), @"
    error: `FOLDER/inside` is a folder, not a file
      inside:1
    hint: name the file in it: `FOLDER/inside/Symphony.toml` (column 1, manifest-invalid)
    ");
    insta::assert_snapshot!(shown("empty"), @"
    error: `FOLDER/empty` is a folder, not a file
      empty:1
    hint: name a file (column 1, manifest-invalid)
    ");
    insta::assert_snapshot!(shown("latin.toml"), @"
    error: `FOLDER/latin.toml` is not UTF-8: byte 0xe9
      latin.toml:2
    hint: save the file as UTF-8 (column 12, manifest-invalid)
    ");
    insta::assert_snapshot!(shown("extension.toml"), @"
    error: `FOLDER/extension.toml` has no `[system]`
      extension.toml:1
    hint: name the system's manifest, whose `extensions` lists this one (column 1, manifest-invalid)
    ");
    let device = SystemManifest::read(Path::new("/dev/null")).unwrap_err();
    assert_eq!(device[0].message, "`/dev/null` is not a regular file");
}

#[test]
fn a_mark_at_the_beginning_and_windows_lines_are_no_faults() {
    let text = "\u{feff}[system]\r\nname = \"ide\"\r\nslots = true\r\n";
    insta::assert_snapshot!(faults(text), @"
    error: `system.slots` must be a whole number, not true or false
      Symphony.toml:3 (column 9, manifest-invalid)
    ");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\[(system|extension)\\]\n)?([a-z]{1,9}( = |\\.)[\\[\\]{}\"0-9a-z$.,]{0,9}\n){0,6}") {
        if let Err(faults) = read(&text) {
            assert!(faults.iter().all(|fault| fault.location.is_some()));
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(text in "\\PC{0,60}") {
        let _ = read(&text);
        let _ = crate::Melody::from_source(&Source::from_text("m.json", text));
    }
}

#[test]
fn a_write_grant_that_covers_its_own_manifest_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("outline");
    std::fs::create_dir_all(own.join("cache")).unwrap();
    std::os::unix::fs::symlink("..", own.join("cache/up")).unwrap();
    let file = own.join("Symphony.toml");
    let faults = |grant: &str| {
        let text = format!(
            "[extension]\nname = \"outline\"\nentry = \"outline:extension\"\n[extension.permissions]\nwrite = [\"{grant}\"]\n"
        );
        std::fs::write(&file, text).unwrap();
        Manifest::read(&file).err().unwrap_or_default()
    };
    let whole = own.display().to_string();
    for grant in [".", "./", "Symphony.toml", "cache/..", "cache/up", "none/..", whole.as_str()] {
        let [fault] = faults(grant).try_into().unwrap_or_else(|other| panic!("{grant}: {other:?}"));
        assert!(fault.message.contains("covers the extension's own manifest"), "{}", fault.message);
        assert_eq!(fault.location.map(|at| at.line), Some(5), "{grant}");
    }
    for grant in ["cache", "none", "../other", "Symphony.toml.d", "..", "/", "${workspace}"] {
        assert_eq!(faults(grant), [], "{grant}");
    }
}
