//! What the host offers a library: services by name.
#![expect(unsafe_code, reason = "texts of a library come as pointer and length")]

use std::ffi::c_void;

use super::table::{ABI_MAJOR, ABI_MINOR, PitHost, PitLog, PitText};

/// The size of a table, for its first field. Tables are a few dozen bytes.
#[expect(clippy::cast_possible_truncation, reason = "a table is a few dozen bytes")]
pub(super) const fn size_of_table<T>() -> u32 {
    size_of::<T>() as u32
}

/// The one host table of the process.
pub(super) static HOST: PitHost = PitHost {
    struct_size: size_of_table::<PitHost>(),
    abi_major: ABI_MAJOR,
    abi_minor: ABI_MINOR,
    service: Some(service),
};

static LOG: PitLog =
    PitLog { struct_size: size_of_table::<PitLog>(), reserved: 0, line: Some(log_line) };

extern "C" fn service(id: PitText) -> *const c_void {
    // SAFETY: the interface says that texts passed in are valid during the call.
    let id = unsafe { bytes(&id) };
    match id {
        b"symphony.log.v1" => std::ptr::from_ref(&LOG).cast(),
        _ => std::ptr::null(),
    }
}

extern "C" fn log_line(level: u32, text: PitText) {
    // SAFETY: the interface says that texts passed in are valid during the call.
    let text = String::from_utf8_lossy(unsafe { bytes(&text) });
    // A subscriber that panics must not unwind into foreign code, where it would end the process.
    let told = std::panic::catch_unwind(|| match level {
        1 => tracing::error!(target: "symphony.pit.library", "{text}"),
        2 => tracing::warn!(target: "symphony.pit.library", "{text}"),
        3 => tracing::info!(target: "symphony.pit.library", "{text}"),
        _ => tracing::debug!(target: "symphony.pit.library", "{text}"),
    });
    // The panic's own hook has said it; there is nobody to return an error to.
    drop(told);
}

/// The bytes of a text; none where the pointer is null.
///
/// # Safety
/// Pointer and length name bytes that are valid for `'a`.
pub(super) unsafe fn bytes<'a>(text: &PitText) -> &'a [u8] {
    match usize::try_from(text.length) {
        Ok(length) if !text.data.is_null() && length > 0 => {
            // SAFETY: the caller says that the bytes are there.
            unsafe { std::slice::from_raw_parts(text.data, length) }
        }
        _ => &[],
    }
}
