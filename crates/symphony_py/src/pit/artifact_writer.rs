//! An artifact in the making as a file that is written: what `pit.artifacts.writer()` gives.
//!
//! Invariant: what was not finished is not there. Within a `with` its end decides; without one `close()` finishes.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};

use ::pit::PitError;
use ::pit::artifact_store::{ArtifactId, ArtifactWriter as Writer};
use component::memory;
use parking_lot::Mutex;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyString};

use super::artifact_file::unsupported;
use crate::door::enter::enter;
use crate::door::error::raise;

/// An artifact that is being written.
#[pyclass(frozen, weakref, module = "symphony._core")]
pub(crate) struct ArtifactWriter {
    state: Mutex<WriteState>,
    /// Within a `with`, which decides.
    within: AtomicBool,
}

enum WriteState {
    Open(Box<Writer>),
    /// Closed within a `with`, at whose end it is stored or not.
    Closed(Box<Writer>),
    Stored(ArtifactId),
    /// Some of its bytes may be missing, which nobody was told by its end so far.
    Failed,
    Gone,
}

/// The bytes of what a caller hands in.
pub(super) enum Bytes<'a, 'py> {
    Lasting(&'a Bound<'py, PyBytes>),
    Copied(Vec<u8>),
}

impl Bytes<'_, '_> {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Lasting(bytes) => bytes.as_bytes(),
            Self::Copied(bytes) => bytes,
        }
    }
}

/// The bytes of `data`, whatever its items are; none where it has no buffer.
pub(super) fn bytes_of<'a, 'py>(data: &'a Bound<'py, PyAny>) -> PyResult<Option<Bytes<'a, 'py>>> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(Some(Bytes::Lasting(bytes)));
    }
    // Copied: somebody else may change it while the interpreter is let go.
    if let Ok(buffer) = PyBuffer::<u8>::get(data) {
        return copied(data.py(), &buffer).map(Some);
    }
    let Ok(view) = PyMemoryView::from(data) else { return Ok(None) };
    let flat = PyBuffer::<u8>::get(&view.call_method1("cast", ("B",))?)?;
    copied(data.py(), &flat).map(Some)
}

fn copied<'a, 'py>(py: Python<'py>, buffer: &PyBuffer<u8>) -> PyResult<Bytes<'a, 'py>> {
    let mut copy = Vec::new();
    memory::resize(&mut copy, buffer.item_count()).map_err(|error| raise(py, &error))?;
    buffer.copy_to_slice(py, &mut copy)?;
    Ok(Bytes::Copied(copy))
}

impl ArtifactWriter {
    pub(super) fn new(writer: Writer) -> Self {
        Self {
            state: Mutex::new(WriteState::Open(Box::new(writer))),
            within: AtomicBool::new(false),
        }
    }

    /// Stores what was written, once.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        let finished = enter(py, || {
            let mut state = self.state.lock();
            match mem::replace(&mut *state, WriteState::Gone) {
                WriteState::Open(writer) | WriteState::Closed(writer) => {
                    writer.finish().map(|id| *state = WriteState::Stored(id)).map_err(Some)
                }
                WriteState::Failed => Err(None),
                other => {
                    *state = other;
                    Ok(())
                }
            }
        })?;
        finished.map_err(|error: Option<PitError>| match error {
            Some(error) => raise(py, &error),
            None => PyValueError::new_err("the artifact is not stored: a `write` to it failed"),
        })
    }

    fn check_open(&self, py: Python<'_>) -> PyResult<()> {
        if self.closed(py)? { Err(closed()) } else { Ok(()) }
    }
}

#[pymethods]
impl ArtifactWriter {
    /// Adds bytes; returns how many. After one that raised `SymphonyError` nothing can be stored any more.
    ///
    /// Raises:
    ///     TypeError: That is text; `io.TextIOWrapper(writer)` takes it.
    #[pyo3(signature = (data, /))]
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let Some(bytes) = bytes_of(data)? else {
            let text = data.is_instance_of::<PyString>();
            let hint = if text { "; `io.TextIOWrapper(writer)` takes text" } else { "" };
            let found = data.get_type().name()?;
            return Err(PyTypeError::new_err(format!("`write` takes bytes, not {found}{hint}")));
        };
        let bytes = bytes.as_slice();
        let written = enter(py, || {
            let mut state = self.state.lock();
            match &mut *state {
                WriteState::Open(writer) => Some(writer.write(bytes).inspect_err(|_| {
                    *state = WriteState::Failed;
                })),
                _ => None,
            }
        })?;
        written.ok_or_else(closed)?.map_err(|error| raise(py, &error))?;
        Ok(bytes.len())
    }

    /// Adds one after the other.
    #[pyo3(signature = (lines, /))]
    fn writelines(&self, py: Python<'_>, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(py, &line?)?;
        }
        Ok(())
    }

    /// The id, once it is stored.
    #[getter]
    fn id(&self, py: Python<'_>) -> PyResult<String> {
        let id = enter(py, || match &*self.state.lock() {
            WriteState::Stored(id) => Ok(id.to_string()),
            WriteState::Failed => Err("a `write` to it failed"),
            WriteState::Gone => Err("it was discarded"),
            WriteState::Open(_) | WriteState::Closed(_) => Err("it is not stored yet"),
        })?;
        id.map_err(|why| PyValueError::new_err(format!("the artifact has no id: {why}")))
    }

    /// How many bytes were written.
    fn tell(&self, py: Python<'_>) -> PyResult<u64> {
        let size = enter(py, || match &*self.state.lock() {
            WriteState::Open(writer) => Some(writer.size()),
            _ => None,
        })?;
        size.ok_or_else(closed)
    }

    /// False.
    fn readable(&self, py: Python<'_>) -> PyResult<bool> {
        self.check_open(py).map(|()| false)
    }

    /// False.
    fn seekable(&self, py: Python<'_>) -> PyResult<bool> {
        self.check_open(py).map(|()| false)
    }

    /// True.
    fn writable(&self, py: Python<'_>) -> PyResult<bool> {
        self.check_open(py).map(|()| true)
    }

    /// False.
    fn isatty(&self, py: Python<'_>) -> PyResult<bool> {
        self.check_open(py).map(|()| false)
    }

    /// Nothing is there before the end, so there is nothing to be forced out.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.check_open(py)
    }

    /// Always raises: it has no descriptor of its own.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.check_open(py)?;
        Err(unsupported(py, "fileno: an artifact has no file of its own"))
    }

    /// Always raises.
    #[pyo3(signature = (_size = None, /))]
    fn read(&self, py: Python<'_>, _size: Option<i64>) -> PyResult<Py<PyAny>> {
        self.check_open(py)?;
        Err(unsupported(
            py,
            "read: an artifact in the making is written; open it when it is stored",
        ))
    }

    /// Always raises: it is written from its start to its end.
    #[pyo3(signature = (_offset, _whence = 0, /))]
    fn seek(&self, py: Python<'_>, _offset: i64, _whence: i64) -> PyResult<u64> {
        self.check_open(py)?;
        Err(unsupported(py, "seek: an artifact is written from its start to its end"))
    }

    /// Always raises: it is written from its start to its end.
    #[pyo3(signature = (_size = None, /))]
    fn truncate(&self, py: Python<'_>, _size: Option<i64>) -> PyResult<u64> {
        self.check_open(py)?;
        Err(unsupported(py, "truncate: an artifact is written from its start to its end"))
    }

    /// Always raises: there is nothing beneath it.
    fn detach(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.check_open(py)?;
        Err(unsupported(py, "detach: there is nothing beneath an artifact"))
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self, py: Python<'_>) -> PyResult<bool> {
        enter(py, || !matches!(&*self.state.lock(), WriteState::Open(_)))
    }

    /// Ends the writing. Within a `with` that is all; without one what was written is stored.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if !self.within.load(Ordering::Acquire) {
            return self.finish(py);
        }
        enter(py, || {
            let mut state = self.state.lock();
            *state = match mem::replace(&mut *state, WriteState::Gone) {
                WriteState::Open(writer) => WriteState::Closed(writer),
                other => other,
            };
        })
    }

    /// Drops what was written, unless it is stored already.
    fn discard(&self, py: Python<'_>) {
        // Also after a fork or a shutdown: nothing may stay.
        py.detach(|| {
            let mut state = self.state.lock();
            if !matches!(&*state, WriteState::Stored(..)) {
                drop(mem::replace(&mut *state, WriteState::Gone));
            }
        });
    }

    fn __enter__(this: Py<Self>, py: Python<'_>) -> PyResult<Py<Self>> {
        this.get().check_open(py)?;
        this.get().within.store(true, Ordering::Release);
        Ok(this)
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.within.store(false, Ordering::Release);
        if kind.is_none() {
            return self.finish(py);
        }
        self.discard(py);
        Ok(())
    }
}

fn closed() -> PyErr {
    PyValueError::new_err("the artifact was closed")
}
