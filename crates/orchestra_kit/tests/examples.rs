//! The example system's own manifests and Melodies are lawful, as written.

use std::path::{Path, PathBuf};

use orchestra_kit::catalogue::find_manifests;
use orchestra_kit::{ExtensionManifest, Melody, SystemManifest};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/ide")
}

#[test]
fn the_manifests_of_the_example_are_lawful() {
    let system = SystemManifest::read(&example().join("Symphony.toml")).unwrap();
    let mut count = 0;
    for pattern in &system.extensions {
        for manifest in find_manifests(&system.folder, pattern).unwrap() {
            ExtensionManifest::read(&manifest).unwrap();
            count += 1;
        }
    }
    assert!(count >= 12, "only {count} extensions");
}

#[test]
fn the_melodies_of_the_example_are_lawful() {
    for name in ["review-file.toml", "review-project.toml"] {
        let melody = Melody::read(&example().join("melodies").join(name)).unwrap();
        assert!(melody.nodes.len() > 4, "{name}");
    }
}
