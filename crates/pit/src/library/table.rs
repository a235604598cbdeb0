//! The table of `include/symphony_pit.h`, field by field. A test compiles the header and compares sizes and offsets.

use std::ffi::c_void;

/// The interface's major version: must be equal on both sides.
pub const ABI_MAJOR: u16 = 1;
/// The minor version that this host offers.
pub const ABI_MINOR: u16 = 0;

/// It went well.
pub const STATUS_OK: i32 = 0;
/// The operation failed; the buffer holds why.
pub const STATUS_ERROR: i32 = 1;
/// The library has no such operation.
pub const STATUS_UNKNOWN_OPERATION: i32 = 2;
/// The library's code panicked and was caught on its own side; the buffer holds the panic's text.
pub const STATUS_PANIC: i32 = 3;

/// Bytes that somebody else owns.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct PitText {
    /// Where they are; may be null where the length is 0.
    pub data: *const u8,
    /// How many.
    pub length: u64,
}

impl PitText {
    /// The bytes of a text; valid as long as the text is.
    pub const fn new(text: &str) -> Self {
        Self::of(text.as_bytes())
    }

    /// Bytes; valid as long as they are.
    pub const fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), length: bytes.len() as u64 }
    }
}

/// Bytes that a library made and takes back in `free_buffer`.
#[repr(C)]
#[derive(Debug)]
pub struct PitBuffer {
    /// Where they are; may be null where the length is 0.
    pub data: *mut u8,
    /// How many.
    pub length: u64,
    /// The library's own.
    pub owner: *mut c_void,
}

impl PitBuffer {
    /// No bytes: how the host passes it.
    pub const fn empty() -> Self {
        Self { data: std::ptr::null_mut(), length: 0, owner: std::ptr::null_mut() }
    }
}

/// What the host offers.
#[repr(C)]
#[derive(Debug)]
pub struct PitHost {
    /// Its size in bytes, as the host knows it.
    pub struct_size: u32,
    /// The host's major version.
    pub abi_major: u16,
    /// The host's minor version.
    pub abi_minor: u16,
    /// The table of the service of that id, or null.
    pub service: Option<extern "C" fn(id: PitText) -> *const c_void>,
}

/// Service `symphony.log.v1`.
#[repr(C)]
#[derive(Debug)]
pub struct PitLog {
    /// Its size in bytes.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Writes one line: 1 error, 2 warning, 3 information, 4 debugging.
    pub line: Option<extern "C" fn(level: u32, text: PitText)>,
}

/// `init` of a library.
pub(super) type Init =
    unsafe extern "C" fn(*const PitHost, instance: *mut *mut c_void, error: *mut PitBuffer) -> i32;
/// `call` of a library.
pub(super) type Call = unsafe extern "C" fn(
    instance: *mut c_void,
    operation: PitText,
    input: PitText,
    output: *mut PitBuffer,
) -> i32;
/// `free_buffer` of a library.
pub(super) type FreeBuffer = unsafe extern "C" fn(*mut PitBuffer);
/// `stop` of a library.
pub(super) type Stop = unsafe extern "C" fn(instance: *mut c_void);

/// What a library exports as `symphony_pit_entry_v1`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct PitEntryV1 {
    /// Its size in bytes, as the library knows it.
    pub struct_size: u32,
    /// The major version that it was built for.
    pub abi_major: u16,
    /// The least minor version that it needs of the host.
    pub abi_minor: u16,
    /// The library's name.
    pub name: PitText,
    /// The library's own version.
    pub version: PitText,
    /// Its operations.
    pub operations: *const PitText,
    /// How many.
    pub operation_count: u64,
    /// Starts it.
    pub init: Option<Init>,
    /// Runs an operation.
    pub call: Option<Call>,
    /// Takes back a buffer.
    pub free_buffer: Option<FreeBuffer>,
    /// Ends it.
    pub stop: Option<Stop>,
}
