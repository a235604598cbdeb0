//! Files as a server's manifest grants them.
//!
//! The bridge is not held by the kernel as its server is, and callers and the server's answers name paths: [`Granted`] is the
//! one place that opens a document. Invariants: what is read lies under what the manifest grants, by the file that was opened and
//! not by its name; nothing but a regular file is opened to read, so nothing waits; no more is read than was asked for.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, open};

/// The folders and files that may be read.
#[derive(Debug, Clone, Default)]
pub struct Granted(Vec<PathBuf>);

impl Granted {
    /// By their real paths, without links.
    pub fn new(roots: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(roots.into_iter().collect())
    }

    /// A file's text.
    ///
    /// # Errors
    /// When it is not granted, no file, no text, longer than `most` bytes, or cannot be read.
    pub(crate) fn text(&self, path: &str, most: u64) -> io::Result<String> {
        let held = File::from(open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
        let own = format!("/proc/self/fd/{}", held.as_raw_fd());
        let real = std::fs::read_link(&own)?;
        if !self.0.iter().any(|root| real.starts_with(root)) {
            let message =
                "the server's manifest does not grant it (`read` in `[extension.permissions]`)";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        if !held.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        let mut text = String::new();
        File::open(&own)?.take(most.saturating_add(1)).read_to_string(&mut text)?;
        if text.len() as u64 > most {
            let message = format!("it has more than {most} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::Granted;

    #[test]
    fn only_regular_files_that_are_granted_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let inside = root.join("project");
        std::fs::create_dir(&inside).unwrap();
        let path = |name: &str| inside.join(name).to_str().unwrap().to_owned();
        std::fs::write(path("a.py"), "x = 1\n").unwrap();
        std::fs::write(root.join("secret"), "s").unwrap();
        std::os::unix::fs::symlink(root.join("secret"), path("out")).unwrap();
        std::os::unix::fs::symlink("a.py", path("in")).unwrap();
        let pipe = std::ffi::CString::new(path("pipe")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        let granted = Granted::new([inside.clone(), "/dev".into()]);
        assert_eq!(granted.text(&path("a.py"), 6).unwrap(), "x = 1\n");
        assert_eq!(granted.text(&path("in"), 6).unwrap(), "x = 1\n");
        for (name, kind) in [
            (path("out"), ErrorKind::PermissionDenied),
            (path("../secret"), ErrorKind::PermissionDenied),
            ("/etc/passwd".to_owned(), ErrorKind::PermissionDenied),
            (path("pipe"), ErrorKind::InvalidInput),
            ("/dev/zero".to_owned(), ErrorKind::InvalidInput),
            (path("nothing"), ErrorKind::NotFound),
        ] {
            assert_eq!(granted.text(&name, 100).unwrap_err().kind(), kind, "{name}");
        }
        assert_eq!(granted.text(&path("a.py"), 5).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
