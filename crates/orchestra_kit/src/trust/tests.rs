//! What is pinned, and what is refused afterwards.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::lock::turn;
use super::pins::contents;
use super::{Distrust, Trust, TrustError, TrustLock, lock_file, pins_of};
use crate::manifest::{ExtensionManifest, SystemManifest};
use crate::supervisor::Environment;

struct Project {
    folder: tempfile::TempDir,
    trust: Trust,
}

fn project() -> Project {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().canonicalize().unwrap().join("extension");
    fs::create_dir_all(place.join("inside")).unwrap();
    fs::write(place.join("Symphony.toml"), "[extension]\n").unwrap();
    fs::write(place.join("code.py"), "1").unwrap();
    fs::write(place.join("inside/more.py"), "1").unwrap();
    let lock = folder.path().join("data/symphony/trust.json");
    Project {
        trust: Trust {
            project: place.parent().map(Path::to_owned),
            folder: place,
            lock: Some(lock),
        },
        folder,
    }
}

impl Project {
    fn lock(&self) -> &Path {
        self.trust.lock.as_deref().unwrap()
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.trust.folder.join(name)
    }

    fn why(&self) -> String {
        self.trust.verify().map_or_else(|why| why.to_string(), |()| "trusted".to_owned())
    }
}

#[test]
fn what_differs_from_what_was_trusted_is_refused_by_name() {
    let project = project();
    assert!(matches!(project.trust.verify(), Err(Distrust::Never { .. })));
    assert_eq!(TrustLock::trust(project.lock(), &project.trust.folder).unwrap(), 3);
    assert_eq!(project.why(), "trusted");
    fs::write(project.file("code.py"), "2").unwrap();
    assert!(
        project.why().ends_with("what was trusted: `code.py` was changed"),
        "{}",
        project.why()
    );
    fs::write(project.file("code.py"), "1").unwrap();
    fs::write(project.file("inside/new.so"), "1").unwrap();
    assert!(project.why().ends_with("`inside/new.so` is new"), "{}", project.why());
    fs::rename(project.file("inside/new.so"), project.file("code.py")).unwrap();
    fs::remove_file(project.file("inside/more.py")).unwrap();
    // The same bytes under that name again, and one that is gone.
    assert!(project.why().ends_with("`inside/more.py` is gone"), "{}", project.why());
    assert_eq!(TrustLock::trust(project.lock(), &project.trust.folder).unwrap(), 2);
    assert_eq!(project.why(), "trusted");
    assert!(TrustLock::distrust(project.lock(), &project.trust.folder).unwrap());
    assert!(!TrustLock::distrust(project.lock(), &project.trust.folder).unwrap());
    assert!(matches!(project.trust.verify(), Err(Distrust::Never { .. })));
}

#[test]
fn a_link_is_pinned_with_what_it_leads_to() {
    let project = project();
    let outside = project.folder.path().join("outside.py");
    fs::write(&outside, "1").unwrap();
    symlink(&outside, project.file("linked.py")).unwrap();
    symlink("inside", project.file("same")).unwrap();
    TrustLock::trust(project.lock(), &project.trust.folder).unwrap();
    assert_eq!(project.why(), "trusted");
    fs::write(&outside, "2").unwrap();
    assert!(project.why().contains("`linked.py` was changed"), "{}", project.why());
    fs::remove_file(project.file("same")).unwrap();
    symlink(project.folder.path(), project.file("same")).unwrap();
    assert!(project.why().contains("is a link to a folder outside"), "{}", project.why());
}

#[test]
fn what_cannot_be_pinned_is_not_trusted() {
    let project = project();
    let pipe = project.file("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    let refused = TrustLock::trust(project.lock(), &project.trust.folder).unwrap_err();
    assert!(matches!(refused, TrustError::Refused { .. }), "{refused}");
    assert!(!project.lock().exists());
    // One that took the place of a file, or of what a link led to, after it was looked at.
    symlink(project.file("code.py"), project.file("link")).unwrap();
    for (swapped, why) in [("pipe", "no regular file"), ("link", "symbolic link")] {
        let refused = contents(&project.file(swapped), &mut Sha256::new()).unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let inside = project.file("data/trust.json");
    fs::remove_file(&pipe).unwrap();
    let refused = TrustLock::trust(&inside, &project.trust.folder).unwrap_err();
    assert!(matches!(refused, TrustError::Inside { .. }), "{refused}");
}

#[test]
fn a_lock_file_that_is_none_trusts_nothing_and_is_not_lost() {
    let project = project();
    TrustLock::trust(project.lock(), &project.trust.folder).unwrap();
    for text in ["", "{", "{\"schema\": 2, \"folders\": {}}"] {
        fs::write(project.lock(), text).unwrap();
        assert!(project.why().contains("cannot be understood"), "{}", project.why());
        TrustLock::trust(project.lock(), &project.trust.folder).unwrap_err();
        assert_eq!(fs::read_to_string(project.lock()).unwrap(), text);
    }
}

#[test]
fn a_turn_that_does_not_come_is_told() {
    let project = project();
    let parent = project.lock().parent().unwrap();
    fs::create_dir_all(parent).unwrap();
    let held = turn(project.lock(), parent, Duration::ZERO).unwrap();
    let busy = turn(project.lock(), parent, Duration::from_millis(50)).unwrap_err();
    assert!(matches!(busy, TrustError::Busy { .. }), "{busy}");
    drop(held);
    assert!(TrustLock::trust(project.lock(), &project.trust.folder).is_ok());
}

#[test]
fn cached_code_is_no_part_of_it() {
    let project = project();
    let before = pins_of(&project.trust.folder).unwrap();
    fs::create_dir(project.file("__pycache__")).unwrap();
    fs::write(project.file("__pycache__/code.cpython-312.pyc"), "1").unwrap();
    assert_eq!(pins_of(&project.trust.folder).unwrap(), before);
}

#[test]
fn what_else_lies_in_a_folder_of_caches_or_a_history_has_a_pin_or_is_reached_by_none() {
    let project = project();
    let folder = &project.trust.folder;
    let before = pins_of(folder).unwrap().len();
    fs::create_dir_all(project.file("inside/__pycache__/deep")).unwrap();
    for name in ["program", "code.pyc", "deep/more.cpython-312.pyc", "code.cpython-312.so"] {
        fs::write(project.file("inside/__pycache__").join(name), "1").unwrap();
    }
    assert_eq!(pins_of(folder).unwrap().len(), before + 4);
    for left_out in ["__pycache__", ".git/objects"] {
        fs::create_dir_all(project.file(left_out)).unwrap();
        symlink(left_out, project.file("link")).unwrap();
        let refused = pins_of(folder).unwrap_err().to_string();
        assert!(refused.contains("is a link to a folder that is not pinned"), "{refused}");
        fs::remove_file(project.file("link")).unwrap();
    }
}

#[test]
fn what_was_read_before_is_what_is_pinned() {
    let project = project();
    let file = project.file("Symphony.toml");
    let write = |command: &str| {
        let text = format!("\u{feff}[extension]\nname = \"a\"\ncommand = [{command:?}]\n");
        fs::write(&file, text).unwrap();
        ExtensionManifest::read(&file).unwrap()
    };
    let read = write("before");
    write("after");
    TrustLock::trust(project.lock(), &project.trust.folder).unwrap();
    assert_eq!(project.why(), "trusted");
    let refused = project.trust.admit(&read).unwrap_err();
    assert!(matches!(refused, Distrust::Stale { .. }), "{refused}");
    assert!(refused.to_string().contains("`Symphony.toml` is not what"), "{refused}");
    assert_eq!(project.trust.admit(&ExtensionManifest::read(&file).unwrap()), Ok(()));
    assert_eq!(write("after").digest, ExtensionManifest::read(&file).unwrap().digest);
}

#[test]
fn what_is_started_is_pinned_or_does_not_come_with_the_project() {
    let project = project();
    let file = project.file("Symphony.toml");
    let outside = project.folder.path().canonicalize().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let elsewhere = elsewhere.path().canonicalize().unwrap();
    for folder in [".git", "__pycache__", "inside"] {
        fs::create_dir_all(project.file(folder)).unwrap();
        fs::write(project.file(folder).join("run.cpython-312.pyc"), "1").unwrap();
    }
    fs::write(outside.join("evil"), "1").unwrap();
    fs::create_dir_all(elsewhere.join("bin")).unwrap();
    fs::write(elsewhere.join("bin/program"), "1").unwrap();
    // Links of the project, which anything could be put in place of.
    symlink(elsewhere.join("bin"), outside.join("bin")).unwrap();
    symlink(elsewhere.join("bin/program"), outside.join("linked")).unwrap();
    // Links that have pins, and one of the user's own that leads back into the project.
    symlink(elsewhere.join("bin/program"), project.file("own")).unwrap();
    symlink(outside.join("evil"), project.file("copy")).unwrap();
    symlink(outside.join("evil"), elsewhere.join("back")).unwrap();
    let refused = |path: &str| {
        let mut kinds = vec![
            format!("entry = \"a:b\"\npython = {path:?}\n"),
            format!("command = [{path:?}]\n"),
            format!("library = {path:?}\n"),
        ];
        if project.trust.folder.join(path).is_file() {
            kinds.push(format!("command = [\"sh\", {path:?}]\n"));
        }
        let verdicts = kinds.iter().map(|kind| {
            fs::write(&file, format!("[extension]\nname = \"a\"\n{kind}")).unwrap();
            TrustLock::trust(project.lock(), &project.trust.folder).unwrap();
            match project.trust.admit(&ExtensionManifest::read(&file).unwrap()) {
                Ok(()) => false,
                Err(Distrust::Unpinned { .. }) => true,
                Err(other) => panic!("{path}: {other}"),
            }
        });
        let verdicts: Vec<bool> = verdicts.collect();
        assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{path}: {verdicts:?}");
        verdicts[0]
    };
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    for path in [
        "../evil",
        "./inside/../../evil",
        "../bin/program",
        "../linked",
        "../not/there/yet",
        ".git/run.cpython-312.pyc",
        "__pycache__/run.cpython-312.pyc",
    ] {
        assert!(refused(path), "{path}");
    }
    assert!(refused(&text(&outside.join("evil"))));
    assert!(refused(&text(&elsewhere.join("back"))));
    for path in ["./code.py", "inside/run.cpython-312.pyc", "./own", "./copy", "/bin/sh"] {
        assert!(!refused(path), "{path}");
    }
    assert!(!refused(&text(&elsewhere.join("bin/program"))));
}

#[test]
fn an_extension_comes_with_the_project_where_the_system_does_not() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let needed = |home: &str, workspace: &str, extension: &str| {
        let folder = root.join(home);
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(root.join(extension)).unwrap();
        let text = format!("[system]\nworkspace = \"{}\"\n", root.join(workspace).display());
        fs::write(folder.join("Symphony.toml"), text).unwrap();
        let system = SystemManifest::read(&folder.join("Symphony.toml")).unwrap();
        Trust::needed(&system, &root.join(extension), None).is_some()
    };
    assert!(needed("app", "project", "project/extensions/a"));
    assert!(needed("app", "app/opened", "app/opened/extensions/a"));
    assert!(needed("project/tools", "project", "project/extensions/a"));
    assert!(!needed("app", "project", "app/extensions/a"));
    assert!(!needed("app", "app", "app/extensions/a"));
    assert!(!needed("project/tools", "project", "project/tools/extensions/a"));
    // A link in the system's own folder that leads into the project, and the other way round.
    symlink(root.join("project/extensions/a"), root.join("app/extensions/link")).unwrap();
    assert!(needed("app", "project", "app/extensions/link"));
    symlink(root.join("app/extensions/a"), root.join("project/extensions/link")).unwrap();
    assert!(needed("app", "project", "project/extensions/link"));
}

#[test]
fn the_lock_file_lies_in_the_data_folder_of_the_user() {
    let place = |variables: &[(&str, &str)]| {
        lock_file(&variables.iter().copied().collect::<Environment>())
            .map(|path| path.display().to_string())
    };
    assert_eq!(place(&[("HOME", "/h")]).unwrap(), "/h/.local/share/symphony/trust.json");
    assert_eq!(
        place(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d")]).unwrap(),
        "/d/symphony/trust.json"
    );
    assert_eq!(
        place(&[("HOME", "/h"), ("XDG_DATA_HOME", "d")]).unwrap(),
        "/h/.local/share/symphony/trust.json"
    );
    assert_eq!(place(&[("HOME", "")]), None);
}
