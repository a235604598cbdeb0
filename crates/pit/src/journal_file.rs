//! The files of journals: made under another name and renamed, so that a name leads to a whole one or to none.
//!
//! Called by the journal, its opening and its migration. Invariant: nothing here touches a journal that is in use.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{self, OpenAs};
use crate::journal_frame::{self, MAX_RECORD, Place};
use crate::journal_header::{self, Format, HEADER};
use crate::kept_name::Identity;
use crate::{Durability, PitError, PitResult};

/// A scratch buffer that grew past this is not kept.
pub(crate) const KEEP_SCRATCH: usize = 1 << 20;

/// A new file of whole records.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) file: File,
    pub(crate) generation: u64,
    pub(crate) end: u64,
}

pub(crate) fn open(path: &Path) -> io::Result<File> {
    disk::open(path, OpenAs::Write)
}

pub(crate) fn length_of(file: &File, path: &Path) -> PitResult<u64> {
    Ok(file.metadata().map_err(PitError::io("read the length of", path))?.len())
}

/// `path` with `ending` behind it.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Where a journal is written before it has its name.
pub(crate) fn temporary_path(path: &Path) -> PathBuf {
    beside(path, ".new")
}

/// Makes a journal without a record.
pub(crate) fn create(path: &Path, format: Format, durability: Durability) -> PitResult<File> {
    let temporary = temporary_path(path);
    let created = create_file(&temporary, format).map_err(PitError::io("create", &temporary))?;
    if durability == Durability::Power {
        disk::sync_data(&created.0).map_err(PitError::io("flush", &temporary))?;
    }
    disk::rename(&temporary, path).map_err(PitError::io("create", path))?;
    if durability == Durability::Power {
        sync_folder_of(path)?;
    }
    Ok(created.0)
}

fn create_file(path: &Path, format: Format) -> io::Result<(File, u64)> {
    let file = disk::open(path, OpenAs::Emptied)?;
    // Keyed by the system's randomness; unlikely to repeat is all that is asked of it.
    let generation = RandomState::new().build_hasher().finish();
    disk::write_all_at(&file, &journal_header::bytes(format, generation), 0)?;
    Ok((file, generation))
}

/// Writes and flushes a journal of `records` at the temporary path of `path`, and gives it to `name`, which gives it its
/// name. What is left of one that failed goes.
///
/// # Errors
/// [`PitError::Io`], [`PitError::OverLimit`] of a record, or what `name` returns.
pub(crate) fn write_whole<T>(
    path: &Path,
    format: Format,
    records: impl IntoIterator<Item = Vec<u8>>,
    name: impl FnOnce(Whole, &Path) -> PitResult<T>,
) -> PitResult<T> {
    let temporary = temporary_path(path);
    let named = fill(&temporary, format, records).and_then(|whole| name(whole, &temporary));
    named.inspect_err(|_| {
        // Gives its space back; the next attempt writes over it if that fails too.
        drop(disk::remove(&temporary));
    })
}

fn fill(
    path: &Path,
    format: Format,
    records: impl IntoIterator<Item = Vec<u8>>,
) -> PitResult<Whole> {
    let writing = || PitError::io("write", path);
    let (file, generation) = create_file(path, format).map_err(writing())?;
    let mut end = HEADER;
    let mut scratch = Vec::with_capacity(KEEP_SCRATCH);
    for record in records {
        push_frame(&mut scratch, path, Place { generation, offset: end }, &record)?;
        if scratch.len() >= KEEP_SCRATCH {
            disk::write_all_at(&file, &scratch, end).map_err(writing())?;
            end += scratch.len() as u64;
            scratch.clear();
        }
    }
    disk::write_all_at(&file, &scratch, end).map_err(writing())?;
    end += scratch.len() as u64;
    // Flushed whatever the durability: the old journal, which a power cut would have spared, is about to go.
    disk::sync_data(&file).map_err(writing())?;
    Ok(Whole { file, generation, end })
}

pub(crate) fn open_folder_of(path: &Path) -> PitResult<File> {
    let folder = path.parent().unwrap_or(Path::new("."));
    disk::open(folder, OpenAs::Read).map_err(PitError::io("open the folder", folder))
}

/// Makes the names in the folder of `path` survive a power cut.
pub(crate) fn sync_folder_of(path: &Path) -> PitResult<()> {
    disk::sync_folder(&open_folder_of(path)?).map_err(PitError::io("flush the folder of", path))
}

/// The second name of a journal that is about to be written anew; it goes again unless that was done.
#[derive(Debug)]
#[must_use = "it goes again unless it stays"]
pub(crate) struct Aside {
    path: PathBuf,
    stays: bool,
}

impl Aside {
    /// The first name was given to another.
    pub(crate) fn stays(mut self) -> PathBuf {
        self.stays = true;
        self.path.clone()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.stays
            && let Err(error) = disk::remove(&self.path)
        {
            let path = self.path.display();
            tracing::warn!(%path, %error, "a journal is still kept under a second name");
        }
    }
}

/// Gives the file at `path` a second name, under which it stays when the first is given to another: after a power cut too.
pub(crate) fn keep_aside(path: &Path) -> PitResult<Aside> {
    for number in 1_u32.. {
        let aside = beside(path, &format!(".kept-{number}"));
        let linked = disk::link(path, &aside).or_else(|error| {
            // Left by a process that was killed before it gave the first name away.
            let is_left = error.kind() == io::ErrorKind::AlreadyExists && are_one(path, &aside);
            if is_left { Ok(()) } else { Err(error) }
        });
        let kept = || Aside { path: aside.clone(), stays: false };
        match linked {
            Ok(()) => {
                let kept = kept();
                sync_folder_of(path)?;
                return Ok(kept);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // Not every file system has second names.
            Err(_) if !aside.exists() => {
                let copy = disk::open(&aside, OpenAs::New);
                let copy = copy.map_err(PitError::io("copy the journal to", &aside))?;
                let kept = kept();
                copy_flushed(path, &copy).map_err(PitError::io("copy the journal to", &aside))?;
                sync_folder_of(path)?;
                return Ok(kept);
            }
            Err(error) => return Err(PitError::io("keep the journal as", &aside)(error)),
        }
    }
    Err(PitError::io("keep", path)(io::ErrorKind::AlreadyExists.into()))
}

/// Whether two names are of one file.
fn are_one(path: &Path, other: &Path) -> bool {
    let identity = |path: &Path| path.symlink_metadata().map(|found| Identity::from(&found));
    matches!((identity(path), identity(other)), (Ok(first), Ok(second)) if first == second)
}

fn copy_flushed(path: &Path, copy: &File) -> io::Result<()> {
    let from = disk::open(path, OpenAs::Read)?;
    let mut piece = vec![0; KEEP_SCRATCH];
    let mut left = from.metadata()?.len();
    let mut offset = 0;
    while left > 0 {
        let length = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
        disk::read_exact_at(&from, &mut piece[..length], offset)?;
        disk::write_all_at(copy, &piece[..length], offset)?;
        offset += length as u64;
        left -= length as u64;
    }
    disk::sync_data(copy)
}

/// Adds a frame to `scratch`, which will be written at `base`.
pub(crate) fn push_frame(
    scratch: &mut Vec<u8>,
    path: &Path,
    base: Place,
    record: &[u8],
) -> PitResult<()> {
    let length = match u32::try_from(record.len()) {
        Ok(length) if record.len() <= MAX_RECORD => length,
        _ => {
            return Err(PitError::OverLimit {
                what: "a record of journal",
                name: path.display().to_string(),
                wanted: record.len() as u64,
                limit: MAX_RECORD as u64,
            });
        }
    };
    let offset = base.offset + scratch.len() as u64;
    journal_frame::push(scratch, Place { offset, ..base }, length, record);
    Ok(())
}
