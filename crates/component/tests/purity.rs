//! Invariant: `component` is vocabulary; it has no runtime and no I/O.

use std::path::Path;

#[test]
fn the_vocabulary_does_no_input_or_output() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        // A conversion into the error of input and output does none.
        let text = std::fs::read_to_string(&path).unwrap().replace("std::io::Error", "");
        for word in
            ["std::fs", "std::net", "std::io", "std::thread", "std::process", "std::env", "tokio"]
        {
            assert!(!text.contains(word), "{} uses {word}", path.display());
        }
    }
}

#[test]
fn the_vocabulary_depends_on_thiserror_alone() {
    let manifest =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let dependencies =
        manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<&str> = dependencies
        .lines()
        .filter_map(|line| line.split(['.', ' ']).next())
        .filter(|name| !name.is_empty())
        .collect();
    assert_eq!(names, ["thiserror"]);
}
