//! Who is told once that something has come: readers that wait on no thread, as those of an event loop.
//!
//! Kept by streams and subscriptions beside their values. Invariant: a hook is called at most once, and outside of every
//! lock; one that was taken back before is not called.

/// What is called once when it is worth looking again. It must not block.
pub type Hook = Box<dyn FnOnce() + Send>;

/// The hooks of one place, each under the key by which it can be taken back.
#[derive(Default)]
pub struct Hooks(Vec<(u64, Hook)>);

impl Hooks {
    /// Keeps a hook; one of the same key gives way.
    pub fn put(&mut self, key: u64, hook: Hook) {
        self.remove(key);
        self.0.push((key, hook));
    }

    /// Takes a hook back.
    pub fn remove(&mut self, key: u64) {
        self.0.retain(|(kept, _)| *kept != key);
    }

    /// All of them, to be called once no lock is held.
    #[must_use]
    pub fn take(&mut self) -> Vec<Hook> {
        std::mem::take(&mut self.0).into_iter().map(|(_, hook)| hook).collect()
    }
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Hooks").field(&self.0.len()).finish()
    }
}

/// Calls hooks that were taken out.
pub(crate) fn call(hooks: Vec<Hook>) {
    for hook in hooks {
        hook();
    }
}
