//! Taking memory whose size comes from outside: a frame's length, a result, an artifact's bytes.
//!
//! Callers: whoever takes more than a few KiB at another's word. Invariant: what cannot be had is a [`NoMemory`], which
//! costs the one call that asked, and never the end of the process.

use crate::{Code, Hint};

/// Memory that could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no memory is left for {bytes} bytes")]
pub struct NoMemory {
    /// How much was asked for.
    pub bytes: usize,
}

impl Hint for NoMemory {
    fn code(&self) -> Code {
        Code::OUT_OF_MEMORY
    }

    fn hints(&self) -> Vec<String> {
        vec![
            "raise the memory limit of this process (`ulimit -v`), or take smaller pieces"
                .to_owned(),
        ]
    }
}

impl From<NoMemory> for std::io::Error {
    fn from(error: NoMemory) -> Self {
        Self::new(std::io::ErrorKind::OutOfMemory, error)
    }
}

/// Makes room for `more` elements behind those that are there.
///
/// # Errors
/// [`NoMemory`].
pub fn reserve<T>(out: &mut Vec<T>, more: usize) -> Result<(), NoMemory> {
    let bytes = more.saturating_mul(size_of::<T>());
    out.try_reserve_exact(more).map_err(|_| NoMemory { bytes })
}

/// An empty vector with room for `length` elements.
///
/// # Errors
/// [`NoMemory`].
pub fn with_room<T>(length: usize) -> Result<Vec<T>, NoMemory> {
    let mut out = Vec::new();
    reserve(&mut out, length)?;
    Ok(out)
}

/// Sets the length; new bytes are zeros.
///
/// # Errors
/// [`NoMemory`].
pub fn resize(out: &mut Vec<u8>, length: usize) -> Result<(), NoMemory> {
    if length > out.capacity() {
        reserve(out, length - out.len())?;
    }
    out.resize(length, 0);
    Ok(())
}

/// A copy of the bytes.
///
/// # Errors
/// [`NoMemory`].
pub fn copied(bytes: &[u8]) -> Result<Vec<u8>, NoMemory> {
    let mut out = with_room(bytes.len())?;
    out.extend_from_slice(bytes);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{NoMemory, copied, reserve, resize, with_room};

    #[test]
    fn what_cannot_be_had_is_an_error_and_leaves_what_was_there() {
        let far = usize::MAX / 4;
        assert_eq!(with_room::<u8>(far), Err(NoMemory { bytes: far }));
        let mut some = copied(b"some").unwrap();
        assert_eq!(resize(&mut some, far), Err(NoMemory { bytes: far - 4 }));
        assert_eq!(reserve(&mut some, usize::MAX), Err(NoMemory { bytes: usize::MAX }));
        assert_eq!(some, b"some");
        resize(&mut some, 6).unwrap();
        assert_eq!(some, b"some\0\0");
        resize(&mut some, 1).unwrap();
        assert_eq!(some, b"s");
    }
}
