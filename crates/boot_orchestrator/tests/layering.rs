//! Invariant: the engine knows components by their descriptors, and names none.

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the sources can be read") {
        let path = entry.expect("the sources can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn the_engine_names_no_concrete_component() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    let engine: Vec<PathBuf> = found
        .into_iter()
        .filter(|path| {
            let inside = path.strip_prefix(&root).unwrap();
            // `lib.rs` declares the wiring; the wiring is the one place that knows.
            !inside.starts_with("system") && inside != Path::new("lib.rs")
        })
        .collect();
    assert!(engine.len() > 20, "the engine was not found: {engine:?}");
    let words = [
        "ArtifactStore",
        "artifact-store",
        "DagTracker",
        "dag-tracker",
        "PoolManager",
        "pool-manager",
        "ArbitrationEngine",
        "arbitration-engine",
        "StaleManager",
        "stale-manager",
        "orchestra_kit::",
        "pit::",
        "ipc::",
        "crate::system",
        "pyo3",
    ];
    for path in engine {
        let text = std::fs::read_to_string(&path).unwrap();
        for word in words {
            assert!(!text.contains(word), "{} names `{word}`", path.display());
        }
    }
}

#[test]
fn files_stay_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    for path in found {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines < 600, "{} has {lines} lines", path.display());
    }
}
