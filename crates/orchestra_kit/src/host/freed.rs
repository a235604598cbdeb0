//! Memory that a guest's traffic took is given back to the system when the guest has ended.
//!
//! Called by the process host. What was freed the allocator keeps for what may come; after a guest that sent or got much
//! nothing may.
#![expect(unsafe_code, reason = "the allocator has no safe way to be asked")]

/// Below so many bytes of traffic there is nothing worth looking for.
pub(super) const MUCH: u64 = 8 * 1024 * 1024;

/// Gives what is free back to the system.
pub(super) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it may be called at any time and from any thread, and changes nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
