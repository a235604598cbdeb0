//! The other side: what a Pit library that is written in Rust exports. Caller: the [`export_pit!`](crate::export_pit)
//! macro, in the author's crate. Invariant: no panic leaves a function of the table.
#![expect(unsafe_code, reason = "the functions of the table take pointers from the host")]

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::host::{bytes, size_of_table};
use super::table::{
    ABI_MAJOR, PitBuffer, PitEntryV1, PitHost, PitLog, PitText, STATUS_ERROR, STATUS_OK,
    STATUS_PANIC, STATUS_UNKNOWN_OPERATION,
};

/// A Pit library in Rust. Give the type to [`export_pit!`](crate::export_pit).
pub trait Exported: Sized + Send + Sync + 'static {
    /// Starts the library.
    ///
    /// # Errors
    /// The text is shown to whoever loads it.
    fn start(host: Services) -> Result<Self, String>;

    /// Runs an operation, on any thread, many at once.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] for an operation that it does not have, [`Refusal::Failed`] with a text for its caller.
    fn call(&self, operation: &str, input: &[u8]) -> Result<Vec<u8>, Refusal>;
}

/// Why an operation gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such operation.
    Unknown,
    /// It failed, with a text for the caller.
    Failed(String),
}

impl<T: Into<String>> From<T> for Refusal {
    fn from(text: T) -> Self {
        Self::Failed(text.into())
    }
}

/// The host's services, as a library sees them.
#[derive(Debug, Clone, Copy)]
pub struct Services {
    host: *const PitHost,
}

// SAFETY: the host's tables are constants of the process.
unsafe impl Send for Services {}
// SAFETY: as above.
unsafe impl Sync for Services {}

impl Services {
    /// Writes one line to Symphony's log: 1 error, 2 warning, 3 information, 4 debugging. A host without a log ignores it.
    pub fn log(&self, level: u32, text: &str) {
        // SAFETY: the host passed its table to `init`; it is valid for the life of the process.
        let Some(service) = (unsafe { self.host.as_ref() }).and_then(|host| host.service) else {
            return;
        };
        let log = service(PitText::new("symphony.log.v1")).cast::<PitLog>();
        // SAFETY: the service of that id is null or a table of that kind, valid for the life of the process.
        if let Some(line) = unsafe { log.as_ref() }.and_then(|log| log.line) {
            line(level, PitText::new(text));
        }
    }
}

/// The table, where a static can hold it.
#[repr(transparent)]
#[derive(Debug)]
pub struct Entry(PitEntryV1);

// SAFETY: a constant; its pointers name constants.
unsafe impl Sync for Entry {}

/// Texts, where a static can hold them.
#[repr(transparent)]
#[derive(Debug)]
pub struct Texts<const N: usize>([PitText; N]);

// SAFETY: a constant; its pointers name constants.
unsafe impl<const N: usize> Sync for Texts<N> {}

impl<const N: usize> Texts<N> {
    /// The texts of a list of names.
    pub const fn new(names: [&'static str; N]) -> Self {
        let mut texts = [PitText::new(""); N];
        let mut at = 0;
        while at < N {
            texts[at] = PitText::new(names[at]);
            at += 1;
        }
        Self(texts)
    }
}

/// The table of a library.
pub const fn entry<T: Exported, const N: usize>(
    name: &'static str,
    version: &'static str,
    operations: &'static Texts<N>,
) -> Entry {
    Entry(PitEntryV1 {
        struct_size: size_of_table::<PitEntryV1>(),
        abi_major: ABI_MAJOR,
        // The least that this table needs of a host, not the newest that is known.
        abi_minor: 0,
        name: PitText::new(name),
        version: PitText::new(version),
        operations: operations.0.as_ptr(),
        operation_count: N as u64,
        init: Some(init::<T>),
        call: Some(call::<T>),
        free_buffer: Some(free_buffer),
        stop: Some(stop::<T>),
    })
}

unsafe extern "C" fn init<T: Exported>(
    host: *const PitHost,
    instance: *mut *mut c_void,
    error: *mut PitBuffer,
) -> i32 {
    match catch_unwind(|| T::start(Services { host })) {
        Ok(Ok(library)) => {
            // SAFETY: the host passes a place for the handle.
            unsafe { instance.write(Box::into_raw(Box::new(library)).cast()) };
            STATUS_OK
        }
        // SAFETY: the host passes a buffer for the error.
        Ok(Err(reason)) => unsafe { fill(error, reason.into_bytes(), STATUS_ERROR) },
        // SAFETY: as above.
        Err(panic) => unsafe { fill(error, panic_text(panic).into_bytes(), STATUS_PANIC) },
    }
}

unsafe extern "C" fn call<T: Exported>(
    instance: *mut c_void,
    operation: PitText,
    input: PitText,
    output: *mut PitBuffer,
) -> i32 {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the handle is what `init` made, and `stop` comes after all calls.
        let library = unsafe { &*instance.cast::<T>() };
        // SAFETY: the host's texts are valid during the call.
        let (operation, input) = unsafe { (bytes(&operation), bytes(&input)) };
        std::str::from_utf8(operation)
            .map_err(|_| Refusal::Unknown)
            .and_then(|operation| library.call(operation, input))
    }));
    let (bytes, status) = match outcome {
        Ok(Ok(bytes)) => (bytes, STATUS_OK),
        Ok(Err(Refusal::Failed(reason))) => (reason.into_bytes(), STATUS_ERROR),
        Ok(Err(Refusal::Unknown)) => (Vec::new(), STATUS_UNKNOWN_OPERATION),
        Err(panic) => (panic_text(panic).into_bytes(), STATUS_PANIC),
    };
    // SAFETY: the host passes a buffer for the output.
    unsafe { fill(output, bytes, status) }
}

unsafe extern "C" fn free_buffer(buffer: *mut PitBuffer) {
    // SAFETY: the host passes a buffer that `fill` filled, once.
    let buffer = unsafe { buffer.replace(PitBuffer::empty()) };
    if !buffer.owner.is_null() {
        // SAFETY: `fill` put a boxed vector there.
        drop(unsafe { Box::from_raw(buffer.owner.cast::<Vec<u8>>()) });
    }
}

unsafe extern "C" fn stop<T: Exported>(instance: *mut c_void) {
    if !instance.is_null() {
        // SAFETY: the handle is what `init` made; the host passes it here once.
        let library = unsafe { Box::from_raw(instance.cast::<T>()) };
        // There is nobody to tell: the panic's own hook has said it.
        drop(catch_unwind(AssertUnwindSafe(|| drop(library))));
    }
}

/// # Safety
/// The buffer can be written.
unsafe fn fill(buffer: *mut PitBuffer, bytes: Vec<u8>, status: i32) -> i32 {
    let mut owner = Box::new(bytes);
    let (data, length) = (owner.as_mut_ptr(), owner.len() as u64);
    let owner = Box::into_raw(owner).cast();
    // SAFETY: as above.
    unsafe { buffer.write(PitBuffer { data, length, owner }) };
    status
}

fn panic_text(panic: Box<dyn Any + Send>) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned());
    // The payload's own destructor may panic as well.
    drop(catch_unwind(AssertUnwindSafe(|| drop(panic))));
    text
}

/// Exports a type as a Pit library: `export_pit!(Counter, name: "counter", version: "0.1.0", operations: ["count"]);`
/// The type implements [`Exported`](crate::library::export::Exported). The crate's type is `cdylib`.
#[macro_export]
macro_rules! export_pit {
    ($library:ty, name: $name:literal, version: $version:expr, operations: [$($operation:literal),* $(,)?] $(,)?) => {
        const _: () = {
            const NAMES: &[&str] = &[$($operation),*];
            static OPERATIONS: $crate::library::export::Texts<{ NAMES.len() }> =
                $crate::library::export::Texts::new([$($operation),*]);
            /// The library's table.
            #[expect(unsafe_code, reason = "the table is found by its name")]
            #[expect(non_upper_case_globals, reason = "the name is the interface's")]
            #[unsafe(no_mangle)]
            pub static symphony_pit_entry_v1: $crate::library::export::Entry =
                $crate::library::export::entry::<$library, { NAMES.len() }>(
                    $name, $version, &OPERATIONS,
                );
        };
    };
}
