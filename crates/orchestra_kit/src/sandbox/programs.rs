//! Which files the kernel has to execute for a program: the program, the interpreter that its first line names, and the
//! loader that it asks for.
//!
//! Called by [`super::policy`]. Invariant: files are only read, and at most their first bytes; one that cannot be read
//! gives nothing.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// An interpreter may itself be a script; the kernel follows so many.
const SCRIPTS: usize = 4;

/// Every file of that name in a list of folders, as `PATH` has them.
pub(super) fn search(name: &str, folders: &[PathBuf]) -> Vec<PathBuf> {
    let is_program = |file: &PathBuf| {
        let metadata = std::fs::metadata(file);
        metadata.is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    folders.iter().map(|folder| folder.join(name)).filter(is_program).collect()
}

/// A program's file, and every other that is executed to run it.
pub(super) fn chain(program: &Path, folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = vec![program.to_owned()];
    let mut next = vec![program.to_owned()];
    for _ in 0..SCRIPTS {
        let Some(file) = next.pop() else { break };
        match beginning(&file) {
            Some(Beginning::Script { interpreter, argument }) => {
                let named = interpreter.file_name() == Some(OsStr::new("env"));
                let wanted = argument.filter(|_| named);
                found.extend(chain_of_binary(&interpreter));
                match wanted {
                    Some(name) => next.extend(search(&name, folders).into_iter().take(1)),
                    None => next.push(interpreter),
                }
                found.extend(next.iter().cloned());
            }
            Some(Beginning::Loader(loader)) => found.push(loader),
            None => {}
        }
    }
    found
}

fn chain_of_binary(file: &Path) -> Vec<PathBuf> {
    let loader = match beginning(file) {
        Some(Beginning::Loader(loader)) => Some(loader),
        _ => None,
    };
    loader.into_iter().chain([file.to_owned()]).collect()
}

enum Beginning {
    Script { interpreter: PathBuf, argument: Option<String> },
    Loader(PathBuf),
}

fn beginning(file: &Path) -> Option<Beginning> {
    let mut file = open(file)?;
    let mut head = Vec::new();
    file.by_ref().take(4096).read_to_end(&mut head).ok()?;
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next()?;
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_whitespace();
        let interpreter = PathBuf::from(words.next()?);
        let argument = words.find(|word| !word.starts_with('-')).map(str::to_owned);
        return Some(Beginning::Script { interpreter, argument });
    }
    loader(&mut file, &head).map(Beginning::Loader)
}

/// A file that is one: of a pipe that nobody writes, neither the opening nor a read would come back.
fn open(file: &Path) -> Option<File> {
    let flags = (OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(file).ok()?;
    file.metadata().ok()?.is_file().then_some(file)
}

/// So much of a text that says where an interpreter's modules are; one that is longer is cut off.
const LONGEST: u64 = 256 * 1024;

/// The beginning of a file's text; nothing of what is no file or no text.
pub(super) fn text(file: &Path) -> String {
    let mut text = Vec::new();
    let read = open(file).map(|file| file.take(LONGEST).read_to_end(&mut text));
    match read {
        Some(Ok(_)) => String::from_utf8_lossy(&text).into_owned(),
        _ => String::new(),
    }
}

/// What an ELF file of 64 bits names as its loader.
fn loader(file: &mut File, head: &[u8]) -> Option<PathBuf> {
    const INTERPRETER: u32 = 3;
    const ENTRY: usize = 56;
    const ENTRIES: usize = 128;
    let number = |bytes: &[u8], at: usize, length: usize| {
        let part = bytes.get(at..at + length)?;
        Some(part.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    if head.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = number(head, 32, 8)?;
    let size = usize::try_from(number(head, 54, 2)?).ok()?;
    let count = usize::try_from(number(head, 56, 2)?).ok()?;
    // What the file says of itself is not asked for memory.
    if size != ENTRY || count > ENTRIES {
        return None;
    }
    let mut entries = vec![0; size * count];
    file.seek(SeekFrom::Start(table)).ok()?;
    file.read_exact(&mut entries).ok()?;
    let entry = entries
        .chunks_exact(ENTRY)
        .find(|entry| number(entry, 0, 4) == Some(u64::from(INTERPRETER)))?;
    let mut name =
        vec![0; usize::try_from(number(entry, 32, 8)?).ok().filter(|size| *size < 4096)?];
    file.seek(SeekFrom::Start(number(entry, 8, 8)?)).ok()?;
    file.read_exact(&mut name).ok()?;
    let name = name.split(|byte| *byte == 0).next()?;
    Some(PathBuf::from(OsStr::from_bytes(name)))
}
