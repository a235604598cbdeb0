//! Loading a library and calling it.
#![expect(unsafe_code, reason = "a foreign table is read and foreign functions are called")]

use std::ffi::c_void;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use component::memory;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::{PitError, PitResult};

use super::host::{HOST, bytes, size_of_table};
use super::image::Image;
use super::sentinel;
use super::table::{
    ABI_MAJOR, ABI_MINOR, Call, FreeBuffer, PitBuffer, PitEntryV1, PitText, STATUS_OK,
    STATUS_PANIC, STATUS_UNKNOWN_OPERATION, Stop,
};

const SYMBOL: &[u8] = b"symphony_pit_entry_v1\0";

/// What is asked of a library before it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// The SHA-256 that the file must have, in hexadecimal.
    pub sha256: Option<String>,
    /// The folder for the marks of libraries that are being started; none: a library that takes the process down is
    /// not quarantined.
    pub sentinels: Option<PathBuf>,
}

/// A loaded library. Calls may come from many threads; dropping it ends the instance, the code stays in memory.
#[derive(Debug)]
pub struct PitLibrary {
    path: PathBuf,
    sha256: String,
    name: String,
    version: String,
    operations: Vec<String>,
    instance: Instance,
}

/// The foreign side: function pointers of a library that is never unloaded, and its handle.
#[derive(Debug)]
struct Instance {
    call: Call,
    free: FreeBuffer,
    stop: Stop,
    handle: *mut c_void,
}

// SAFETY: the interface demands that `call` may come from any thread, many at once; `stop` comes once, after all.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

impl PitLibrary {
    /// Reads, checks, loads and starts a library.
    ///
    /// # Errors
    /// [`PitError::Io`]; [`PitError::Abi`] when versions or table do not fit; [`PitError::Library`] when the hash is not
    /// the pinned one, the linker refuses the file, the symbol is missing or `init` failed;
    /// [`PitError::LibraryQuarantined`] when the last starts of the same file crashed the process.
    pub fn load(path: &Path, options: &LoadOptions) -> PitResult<Self> {
        let image = Image::read(path, options.sha256.as_deref())?;
        image.check(path)?;
        let (memory, name) = image.seal(path)?;
        let start = || Self::start(path, &image, memory, &name);
        match &options.sentinels {
            Some(folder) => sentinel::during(folder, path, &image.sha256, start),
            None => start(),
        }
    }

    fn start(path: &Path, image: &Image, memory: OwnedFd, name: &Path) -> PitResult<Self> {
        let failed = |reason: String| PitError::Library { path: path.to_owned(), reason };
        // SAFETY: loading runs the library's initialisers. That is what whoever installed it asked for; its file was
        // checked before.
        let library = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|error| failed(format!("the linker refused it: {error}")))?;
        // SAFETY: only the address of the symbol is taken; what it points to is checked by `read_table`.
        let symbol = unsafe { library.get::<*const PitEntryV1>(SYMBOL) }
            .map(libloading::os::unix::Symbol::into_raw)
            .map_err(|_| failed("it does not export `symphony_pit_entry_v1`".to_owned()));
        // Never unloaded: with thread-locals that is unsound. The memory file stays open, see `Image::seal`.
        let _ = library.into_raw();
        std::mem::forget(memory);
        // SAFETY: the symbol is the table itself, exported as the header says, and is never unloaded.
        let table = unsafe { read_table(path, symbol?.cast()) }?;
        let (Some(init), Some(call), Some(free), Some(stop)) =
            (table.init, table.call, table.free_buffer, table.stop)
        else {
            let reason = "a function of its table is null".to_owned();
            return Err(PitError::Abi { path: path.to_owned(), reason });
        };
        // SAFETY: the table's texts are constants of a library that is never unloaded.
        let (name, version, operations) =
            unsafe { (text(&table.name), text(&table.version), operations(&table)) };
        let mut handle = std::ptr::null_mut();
        let mut error = PitBuffer::empty();
        // SAFETY: a function of the table, called as the header says: once, before all others.
        let status = unsafe { init(&raw const HOST, &raw mut handle, &raw mut error) };
        // SAFETY: the buffer is what `init` filled, `free` is its library's.
        let message = unsafe { take(free, &mut error, failed) }?;
        if status != STATUS_OK {
            let message = String::from_utf8_lossy(&message);
            return Err(failed(format!("its start returned {status}: {message}")));
        }
        let instance = Instance { call, free, stop, handle };
        let (path, sha256) = (path.to_owned(), image.sha256.clone());
        Ok(Self { path, sha256, name, version, operations, instance })
    }

    /// Runs an operation. The bytes are the caller's and the library's business.
    ///
    /// # Errors
    /// [`PitError::NotFound`] for an operation that the library does not have; [`PitError::Library`] with the library's
    /// own words when it failed or panicked.
    pub fn call(&self, operation: &str, input: &[u8]) -> PitResult<Vec<u8>> {
        let failed = |reason: String| PitError::Library { path: self.path.clone(), reason };
        let mut output = PitBuffer::empty();
        let (name, input) = (PitText::new(operation), PitText::of(input));
        // SAFETY: a function of the table with the handle that `init` gave; the texts live during the call.
        let status =
            unsafe { (self.instance.call)(self.instance.handle, name, input, &raw mut output) };
        // SAFETY: the buffer is what `call` filled, `free` is its library's.
        let bytes = unsafe { take(self.instance.free, &mut output, failed) }?;
        let words = || String::from_utf8_lossy(&bytes).into_owned();
        match status {
            STATUS_OK => Ok(bytes),
            STATUS_UNKNOWN_OPERATION => Err(PitError::NotFound {
                kind: "operation",
                name: format!("{}.{operation}", self.name),
            }),
            STATUS_PANIC => Err(failed(format!("`{operation}` panicked: {}", words()))),
            _ => Err(failed(format!("`{operation}` returned {status}: {}", words()))),
        }
    }

    /// The names of its operations.
    pub fn operations(&self) -> &[String] {
        &self.operations
    }

    /// Its name, as it says itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version, as it says itself.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The SHA-256 of the file that was loaded, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The file that it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: a function of the table with the handle that `init` gave; the last use of it.
        unsafe { (self.stop)(self.handle) }
    }
}

/// Checks versions and size before any later field is read.
///
/// # Safety
/// The pointer is the exported table of a loaded library.
unsafe fn read_table(path: &Path, entry: *const PitEntryV1) -> PitResult<PitEntryV1> {
    let misfit = |reason: String| Err(PitError::Abi { path: path.to_owned(), reason });
    if entry.is_null() || !entry.is_aligned() {
        return misfit("its table is not where a table can be".to_owned());
    }
    // SAFETY: every version of the table begins with these eight bytes.
    let head = unsafe { std::slice::from_raw_parts(entry.cast::<u8>(), 8) };
    let size = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]);
    let major = u16::from_ne_bytes([head[4], head[5]]);
    let minor = u16::from_ne_bytes([head[6], head[7]]);
    if major != ABI_MAJOR {
        return misfit(format!(
            "it was built for interface version {major}, this is version {ABI_MAJOR}"
        ));
    }
    if minor > ABI_MINOR {
        return misfit(format!(
            "it needs interface {major}.{minor}, this host offers {ABI_MAJOR}.{ABI_MINOR}"
        ));
    }
    let least = size_of_table::<PitEntryV1>();
    if size < least {
        return misfit(format!("its table has {size} bytes, version 1.0 has {least}"));
    }
    // SAFETY: the table says that it is at least as long as what is read here.
    Ok(unsafe { entry.read() })
}

/// # Safety
/// The text is valid during the call.
unsafe fn text(text: &PitText) -> String {
    // SAFETY: as above.
    String::from_utf8_lossy(unsafe { bytes(text) }).into_owned()
}

/// # Safety
/// The table's operations are valid during the call.
unsafe fn operations(table: &PitEntryV1) -> Vec<String> {
    let count = usize::try_from(table.operation_count).unwrap_or(0);
    if table.operations.is_null() || count == 0 {
        return Vec::new();
    }
    // SAFETY: the table names that many texts at that place.
    let texts = unsafe { std::slice::from_raw_parts(table.operations, count) };
    // SAFETY: each of them is valid as the table is.
    texts.iter().map(|operation| unsafe { text(operation) }).collect()
}

/// Copies what a library made and gives it back to it.
///
/// # Safety
/// The buffer was filled by a function of the library whose `free_buffer` is given.
unsafe fn take(
    free: FreeBuffer,
    buffer: &mut PitBuffer,
    failed: impl Fn(String) -> PitError,
) -> PitResult<Vec<u8>> {
    let length =
        isize::try_from(buffer.length).ok().and_then(|length| usize::try_from(length).ok());
    let copied = match length {
        Some(0) => Ok(Vec::new()),
        Some(length) if !buffer.data.is_null() => {
            // SAFETY: the library says that so many bytes are there.
            memory::copied(unsafe { std::slice::from_raw_parts(buffer.data, length) })
                .map_err(PitError::from)
        }
        _ => Err(failed(format!("it returned an impossible buffer of {} bytes", buffer.length))),
    };
    if !buffer.data.is_null() || !buffer.owner.is_null() {
        // SAFETY: given back once, to whom it belongs.
        unsafe { free(buffer) };
    }
    copied
}
