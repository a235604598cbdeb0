//! Whether a system's state can lie at a path.
//!
//! Callers: `check` for what manifests say, a boot before its plan, and the start of the state folder, since the place may
//! have changed meanwhile. Invariant: nothing is opened and nothing is made. To open a pipe would wait for its other end,
//! and to open a device may do something.

use std::borrow::Cow;
use std::fs::{self, FileType};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use component::{Code, Diagnostic};
use rustix::fs::statfs;
use rustix::io::Errno;

/// Bytes that the kernel takes as a name.
const LONGEST_NAME: usize = 255;
/// Bytes that it takes as a path, less its end and the longest name that Symphony gives a file below.
const LONGEST_PATH: usize = 4096 - 1 - 256;
/// So much of a path is shown.
const SHOWN: usize = 120;

/// File systems in which the kernel shows itself: what is written there is no file that stays.
const OF_THE_KERNEL: &[(u64, &str)] = &[
    (0x9fa0, "proc"),
    (0x6265_6572, "sysfs"),
    (0x0027_e0eb, "cgroup"),
    (0x6367_7270, "cgroup2"),
    (0x1cd1, "devpts"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0x7363_6673, "securityfs"),
    (0x6265_6570, "configfs"),
    (0xcafe_4a11, "bpf"),
    (0x1980_0202, "mqueue"),
    (0x9584_58f6, "hugetlbfs"),
    (0xde5e_81e4, "efivarfs"),
    (0x6165_676c, "pstore"),
    (0x4249_4e4d, "binfmt_misc"),
    (0xf97c_ff8c, "selinuxfs"),
];

/// Why no state can lie at this path, for any account; none where nothing speaks against it.
pub fn fault_of_state(path: &Path) -> Option<Diagnostic> {
    let reason = reason_against(path)?;
    let message = format!("state folder `{}` cannot be used: {reason}", shown(path));
    let hint = "set `state` in `[system]` to a folder on a disk, or to a path in one at which there is nothing yet";
    Some(Diagnostic::error(Code::STATE_INVALID, message).hint(hint))
}

fn reason_against(path: &Path) -> Option<String> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.contains(&0) {
        return Some("it holds a NUL character".to_owned());
    }
    if let Some(name) = path.iter().find(|name| name.len() > LONGEST_NAME) {
        let length = name.len();
        return Some(format!(
            "a name in it has {length} bytes, and the kernel takes {LONGEST_NAME}"
        ));
    }
    if bytes.len() > LONGEST_PATH {
        return Some(format!(
            "it has {} bytes, and the files below it leave room for {LONGEST_PATH}",
            bytes.len()
        ));
    }
    let (nearest, is_link) = nearest(path)?;
    let what = match fs::metadata(nearest) {
        Ok(found) if found.is_dir() => of_the_kernel(nearest)?,
        Ok(found) => kind(found.file_type()).to_owned(),
        Err(error) if is_link => nowhere(nearest, &error)?,
        // Who may not look there may be another account than the one that boots.
        Err(_) => return None,
    };
    Some(if nearest == path {
        format!("it is {what}")
    } else {
        format!("it lies below `{}`, which is {what}", shown(nearest))
    })
}

/// The path itself or what there is above it, and whether that is a link. None where this account may not look.
fn nearest(path: &Path) -> Option<(&Path, bool)> {
    for place in path.ancestors() {
        let place = if place.as_os_str().is_empty() { Path::new(".") } else { place };
        match fs::symlink_metadata(place) {
            Ok(found) => return Some((place, found.is_symlink())),
            Err(error) if is_absent(&error) => {}
            Err(_) => return None,
        }
    }
    None
}

/// Whether there is nothing of that name, so that what is above it tells why; links that lead in a circle are above it too.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

/// What a link is that leads to nothing.
fn nowhere(link: &Path, error: &io::Error) -> Option<String> {
    if !is_absent(error) {
        return None;
    }
    if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
        return Some("a link that leads in a circle".to_owned());
    }
    let target = fs::read_link(link).unwrap_or_default();
    Some(format!("a link to `{}`, which does not exist", shown(&target)))
}

fn kind(found: FileType) -> &'static str {
    if found.is_fifo() {
        "a named pipe"
    } else if found.is_socket() {
        "a socket"
    } else if found.is_char_device() || found.is_block_device() {
        "a device"
    } else {
        "a file, not a folder"
    }
}

/// What a folder is in which the kernel shows itself.
fn of_the_kernel(folder: &Path) -> Option<String> {
    let kind = statfs(folder).ok().and_then(|found| u64::try_from(found.f_type).ok());
    if let Some((_, name)) = OF_THE_KERNEL.iter().find(|(known, _)| Some(*known) == kind) {
        return Some(format!("in the kernel's own file system `{name}`, which keeps no files"));
    }
    let real: PathBuf = folder.canonicalize().ok()?;
    let is_of_devices = real.starts_with("/dev") && !real.starts_with("/dev/shm");
    is_of_devices.then(|| "in the folder of devices".to_owned())
}

/// A path as a message has it: of a long one its beginning.
fn shown(path: &Path) -> Cow<'_, str> {
    let text = path.to_string_lossy();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use super::fault_of_state;
    use component::Code;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    fn said(path: &Path) -> Option<String> {
        let fault = fault_of_state(path)?;
        assert_eq!(fault.code, Code::STATE_INVALID);
        assert!(fault.hint.is_some());
        assert!(fault.message.len() < 600, "{} bytes", fault.message.len());
        Some(fault.message)
    }

    #[test]
    fn a_place_that_keeps_no_files_is_told_by_what_it_is_and_nothing_is_made() {
        let given = tempfile::tempdir().unwrap();
        let at = |name: &str| given.path().join(name);
        fs::write(at("file"), b"").unwrap();
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::from(0o600), 0).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        symlink(at("absent"), at("dangling")).unwrap();
        symlink(at("circle"), at("circle")).unwrap();
        symlink("/dev/null", at("device")).unwrap();
        symlink("/proc", at("processes")).unwrap();
        let before = fs::read_dir(given.path()).unwrap().count();
        let many = "d/".repeat(2500);
        for (path, part) in [
            ("file", "it is a file, not a folder"),
            ("file/state", "file`, which is a file, not a folder"),
            ("file/a/b/c", "file`, which is a file, not a folder"),
            ("pipe", "it is a named pipe"),
            ("socket", "it is a socket"),
            ("socket/state", "which is a socket"),
            ("device", "it is a device"),
            ("dangling", "absent`, which does not exist"),
            ("dangling/a", "dangling`, which is a link to"),
            ("circle", "it is a link that leads in a circle"),
            ("circle/a", "circle`, which is a link that leads in a circle"),
            ("processes/a", "which is in the kernel's own file system `proc`"),
            ("/proc", "it is in the kernel's own file system `proc`"),
            ("/proc/self/state", "file system `proc`"),
            ("/sys/state", "file system `sysfs`"),
            ("/dev/null", "it is a device"),
            ("/dev/null/state", "which is a device"),
            ("/dev", "it is in the folder of devices"),
            ("/dev/state", "`/dev`, which is in the folder of devices"),
            ("a\0b", "NUL"),
            (&"n".repeat(5000), "a name in it has 5000 bytes"),
            (&"n".repeat(256), "a name in it has 256 bytes"),
            (&many, "bytes, and the files below it leave room for"),
        ] {
            let text = said(&at(path));
            assert!(text.as_deref().is_some_and(|text| text.contains(part)), "{path}: {text:?}");
        }
        assert_eq!(fs::read_dir(given.path()).unwrap().count(), before);
    }

    #[test]
    fn a_folder_and_a_path_that_can_be_made_are_lawful() {
        let given = tempfile::tempdir().unwrap();
        fs::create_dir(given.path().join("folder")).unwrap();
        symlink("folder", given.path().join("link")).unwrap();
        for path in ["folder", "folder/a/b", "link", "link/new", "new", "deep/er/still"] {
            assert_eq!(said(&given.path().join(path)), None, "{path}");
        }
        assert_eq!(said(Path::new("relative/state")), None);
        assert_eq!(said(&given.path().join("n".repeat(255))), None);
        if Path::new("/dev/shm").is_dir() {
            assert_eq!(said(Path::new("/dev/shm/state")), None);
        }
    }
}
