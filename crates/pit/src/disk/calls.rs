//! The calls themselves. Each meets the fault that a test has planned for it, where one has.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{FallocateFlags, fallocate};

#[cfg(test)]
use super::faults::{self, Call};

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenAs {
    /// To be read.
    Read,
    /// To be read and written; it is there.
    Write,
    /// To be read and written; it is made where there is none.
    Made,
    /// To be read and written; there is none yet.
    New,
    /// To be read and written from the beginning; what was there goes.
    Emptied,
}

/// Opens a file, or a folder to be flushed.
pub(crate) fn open(path: &Path, how: OpenAs) -> io::Result<File> {
    #[cfg(test)]
    faults::meet(Call::Open)?;
    let mut options = OpenOptions::new();
    match how {
        OpenAs::Read => options.read(true),
        OpenAs::Write => options.read(true).write(true),
        OpenAs::Made => options.read(true).write(true).create(true).truncate(false),
        OpenAs::New => options.read(true).write(true).create_new(true),
        OpenAs::Emptied => options.read(true).write(true).create(true).truncate(true),
    };
    options.open(path)
}

/// Writes all bytes at an offset.
pub(crate) fn write_all_at(file: &File, data: &[u8], offset: u64) -> io::Result<()> {
    #[cfg(test)]
    faults::meet_full_disk()?;
    #[cfg(test)]
    faults::meet_write(data, |part| file.write_all_at(part, offset))?;
    file.write_all_at(data, offset)
}

/// Writes all bytes where the file stands.
pub(crate) fn write_all(mut file: &File, data: &[u8]) -> io::Result<()> {
    #[cfg(test)]
    faults::meet_write(data, |part| file.write_all(part))?;
    file.write_all(data)
}

/// Reads that many bytes at an offset.
pub(crate) fn read_exact_at(file: &File, out: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(test)]
    faults::meet(Call::Read)?;
    file.read_exact_at(out, offset)
}

/// Cuts a file, or makes it longer.
pub(crate) fn set_len(file: &File, length: u64) -> io::Result<()> {
    #[cfg(test)]
    faults::meet(Call::Truncate)?;
    file.set_len(length)
}

/// Takes room for so many bytes at a file's beginning.
pub(crate) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    #[cfg(test)]
    faults::meet(Call::Write)?;
    Ok(fallocate(file, FallocateFlags::empty(), 0, bytes)?)
}

/// Puts a file's bytes on the disk.
pub(crate) fn sync_data(file: &File) -> io::Result<()> {
    #[cfg(test)]
    faults::meet(Call::Flush)?;
    file.sync_data()
}

/// Puts a file with its size and times on the disk.
pub(crate) fn sync_all(file: &File) -> io::Result<()> {
    #[cfg(test)]
    faults::meet(Call::Flush)?;
    file.sync_all()
}

/// Says when a file was last written.
pub(crate) fn date(file: &File, at: SystemTime) -> io::Result<()> {
    #[cfg(test)]
    faults::meet(Call::Open)?;
    file.set_modified(at)
}

/// Puts a folder's names on the disk.
pub(crate) fn sync_folder(folder: &File) -> io::Result<()> {
    #[cfg(test)]
    faults::meet(Call::Flush)?;
    folder.sync_all()
}

/// Gives a file another name; one that has it loses it.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::meet(Call::Rename)?;
    fs::rename(from, to)
}

/// Gives a file a second name, which no other file has.
pub(crate) fn link(path: &Path, second: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::meet(Call::Open)?;
    Ok(rustix::fs::link(path, second)?)
}

/// Takes a file's name away.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::meet(Call::Remove)?;
    fs::remove_file(path)
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::meet(Call::MakeFolder)?;
    fs::create_dir_all(path)
}

/// Removes a folder with all that is in it.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::meet(Call::Remove)?;
    fs::remove_dir_all(path)
}
