//! An artifact as a file: what `pit.artifacts.open()` gives, an `io.BufferedIOBase` in all that it does.
//!
//! Called by whatever the standard library reads a binary file with (`zipfile`, `tarfile`, `pickle`, `TextIOWrapper`).
//! Invariant: the interpreter is never held while bytes are read, and nothing of the interpreter runs under the lock.

use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};

use ::pit::PitError;
use ::pit::artifact_store::ArtifactReader;
use parking_lot::Mutex;
use pyo3::exceptions::{PyMemoryError, PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PySlice};

use crate::door::enter::enter;
use crate::door::error::raise;

/// Bytes that are read ahead.
const BUFFER: u64 = 64 << 10;
/// Bytes that are read before the interpreter is asked for again, to take them.
const PIECE: usize = 256 << 10;
const EIO: i32 = 5;
const EINVAL: i32 = 22;

/// An artifact that is open for reading.
#[pyclass(frozen, weakref, module = "symphony._core")]
pub(crate) struct ArtifactFile {
    reader: Mutex<Option<BufReader<ArtifactReader>>>,
}

impl ArtifactFile {
    pub(super) fn new(reader: ArtifactReader) -> Self {
        // At most 64 KiB: no number is cut.
        let capacity = reader.size().clamp(1, BUFFER) as usize;
        Self { reader: Mutex::new(Some(BufReader::with_capacity(capacity, reader))) }
    }

    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut BufReader<ArtifactReader>) -> io::Result<T> + Send,
    ) -> PyResult<T> {
        let done = enter(py, || self.reader.lock().as_mut().map(work))?;
        done.ok_or_else(closed)?.map_err(|error| unreadable(py, error))
    }

    /// Reads up to `limit` bytes into Python's own memory, fewer only at the end.
    fn read_up_to<'py>(&self, py: Python<'py>, limit: u64) -> PyResult<Bound<'py, PyBytes>> {
        let left = self.with(py, |reader| {
            let position = reader.stream_position()?;
            Ok(reader.get_ref().size().saturating_sub(position))
        })?;
        let wanted = usize::try_from(left.min(limit)).unwrap_or(usize::MAX);
        let mut filled = 0;
        // Where there is not enough memory, this is a `MemoryError` and no abort.
        let bytes = PyBytes::new_with(py, wanted, |out| {
            filled = self.with(py, |reader| read_whole(reader, out))?;
            Ok(())
        })?;
        // Another thread read on meanwhile.
        if filled < wanted { Ok(PyBytes::new(py, &bytes.as_bytes()[..filled])) } else { Ok(bytes) }
    }

    fn line(&self, py: Python<'_>, limit: u64) -> PyResult<Vec<u8>> {
        self.with(py, |reader| {
            let mut line = Vec::new();
            reader.take(limit).read_until(b'\n', &mut line)?;
            Ok(line)
        })
    }

    /// Reads into memory of the caller's, with one read or until it is full.
    fn fill(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>, once: bool) -> PyResult<usize> {
        let view = PyMemoryView::from(buffer)?.call_method1("cast", ("B",))?;
        if view.getattr("readonly")?.is_truthy()? {
            return Err(PyTypeError::new_err("what is read into must be writable"));
        }
        let length = view.len()?;
        let mut filled = 0;
        while filled < length {
            let wanted = PIECE.min(length - filled);
            let piece =
                if once { self.ready(py, wanted)? } else { self.read_up_to(py, wanted as u64)? };
            let end = filled + piece.as_bytes().len();
            let place = PySlice::new(py, index(filled)?, index(end)?, 1);
            view.set_item(place, &piece)?;
            let is_short = end - filled < wanted;
            filled = end;
            if once || is_short {
                break;
            }
        }
        Ok(filled)
    }

    /// What one read gives, at most `limit` bytes.
    fn ready<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.with(py, |reader| {
            let ready = if limit == 0 { &[] } else { reader.fill_buf()? };
            let taken = ready[..ready.len().min(limit)].to_vec();
            reader.consume(taken.len());
            Ok(taken)
        })?;
        Ok(PyBytes::new(py, &bytes))
    }
}

#[pymethods]
impl ArtifactFile {
    /// The next bytes, at most `size` of them; `None` or negative: all that are left.
    #[pyo3(signature = (size = None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        self.read_up_to(py, limit_of(size))
    }

    /// The bytes that are there without another read of the disk, at most `size`; empty only at the end.
    #[pyo3(signature = (size = -1, /))]
    fn read1<'py>(&self, py: Python<'py>, size: i64) -> PyResult<Bound<'py, PyBytes>> {
        let limit = usize::try_from(size).unwrap_or(usize::MAX);
        self.ready(py, limit)
    }

    /// The bytes that `read1` would give, without moving.
    #[pyo3(signature = (_size = 0, /))]
    fn peek<'py>(&self, py: Python<'py>, _size: i64) -> PyResult<Bound<'py, PyBytes>> {
        let ready = self.with(py, |reader| Ok(reader.fill_buf()?.to_vec()))?;
        Ok(PyBytes::new(py, &ready))
    }

    /// Fills a buffer; says how many bytes it got, fewer than it holds only at the end.
    ///
    /// Raises:
    ///     TypeError: The buffer cannot be written.
    fn readinto(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.fill(py, buffer, false)
    }

    /// As `readinto`, with one read of the disk at most.
    fn readinto1(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.fill(py, buffer, true)
    }

    /// The bytes up to and with the next `\n`, at most `size`; `for line in file` gives them one by one.
    #[pyo3(signature = (size = None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.line(py, limit_of(size))?))
    }

    /// The lines that are left; no more once they hold `hint` bytes.
    #[pyo3(signature = (hint = None, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<i64>) -> PyResult<Bound<'py, PyList>> {
        // Zero is no limit here, as in every file.
        let enough = limit_of(hint.filter(|hint| *hint != 0));
        let lines = PyList::empty(py);
        let mut total = 0;
        while total < enough {
            let line = self.line(py, u64::MAX)?;
            if line.is_empty() {
                break;
            }
            total += line.len() as u64;
            lines.append(PyBytes::new(py, &line))?;
        }
        Ok(lines)
    }

    /// Moves to an offset from the start (0), from here (1) or from the end (2); returns the new position.
    ///
    /// Raises:
    ///     ValueError: A negative offset from the start, or another `whence`.
    ///     OSError: That place is before the start.
    #[pyo3(signature = (offset, whence = 0, /))]
    fn seek(&self, py: Python<'_>, offset: i64, whence: i64) -> PyResult<u64> {
        let from = match whence {
            0 => SeekFrom::Start(u64::try_from(offset).map_err(|_| {
                PyValueError::new_err(format!("a negative offset from the start: {offset}"))
            })?),
            1 => SeekFrom::Current(offset),
            2 => SeekFrom::End(offset),
            _ => return Err(PyValueError::new_err("`whence` is 0, 1 or 2")),
        };
        self.with(py, |reader| seek(reader, from))
    }

    /// How far from the start it stands.
    fn tell(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, BufReader::stream_position)
    }

    /// True.
    fn readable(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |_| Ok(true))
    }

    /// True.
    fn seekable(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |_| Ok(true))
    }

    /// False.
    fn writable(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |_| Ok(false))
    }

    /// False.
    fn isatty(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |_| Ok(false))
    }

    /// Nothing waits to be written.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |_| Ok(()))
    }

    /// Always raises: it has no descriptor of its own.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.flush(py)?;
        Err(unsupported(py, "fileno: an artifact has no file of its own"))
    }

    /// Always raises: an artifact never changes.
    #[pyo3(signature = (_data, /))]
    fn write(&self, py: Python<'_>, _data: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.flush(py)?;
        Err(unsupported(
            py,
            "write: an artifact never changes; `pit.artifacts.writer()` makes another",
        ))
    }

    /// Always raises: an artifact never changes.
    #[pyo3(signature = (_lines, /))]
    fn writelines(&self, py: Python<'_>, _lines: &Bound<'_, PyAny>) -> PyResult<()> {
        self.flush(py)?;
        Err(unsupported(py, "writelines: an artifact never changes"))
    }

    /// Always raises: an artifact never changes.
    #[pyo3(signature = (_size = None, /))]
    fn truncate(&self, py: Python<'_>, _size: Option<i64>) -> PyResult<u64> {
        self.flush(py)?;
        Err(unsupported(py, "truncate: an artifact never changes"))
    }

    /// Always raises: there is nothing beneath it.
    fn detach(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.flush(py)?;
        Err(unsupported(py, "detach: there is nothing beneath an artifact"))
    }

    /// The artifact's length in bytes.
    #[getter]
    fn size(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |reader| Ok(reader.get_ref().size()))
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self, py: Python<'_>) -> PyResult<bool> {
        enter(py, || self.reader.lock().is_none())
    }

    /// Lets go of it; may be called twice.
    fn close(&self, py: Python<'_>) {
        // Also after a fork, and also when a reader's end takes its time.
        py.detach(|| drop(self.reader.lock().take()));
    }

    fn __iter__(this: Py<Self>, py: Python<'_>) -> PyResult<Py<Self>> {
        this.get().flush(py)?;
        Ok(this)
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.line(py, u64::MAX)?;
        Ok((!line.is_empty()).then(|| PyBytes::new(py, &line)))
    }

    fn __enter__(this: Py<Self>, py: Python<'_>) -> PyResult<Py<Self>> {
        this.get().flush(py)?;
        Ok(this)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) {
        self.close(py);
    }
}

/// The error of `io` for what this kind of file does not do.
pub(super) fn unsupported(py: Python<'_>, what: &'static str) -> PyErr {
    let raised = py
        .import("io")
        .and_then(|io| io.getattr("UnsupportedOperation"))
        .and_then(|class| class.call1((what,)));
    raised.map_or_else(|error| error, PyErr::from_value)
}

/// Nothing and every negative number are no limit.
fn limit_of(size: Option<i64>) -> u64 {
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(u64::MAX)
}

fn closed() -> PyErr {
    PyValueError::new_err("the artifact was closed")
}

fn unreadable(py: Python<'_>, error: io::Error) -> PyErr {
    let stopped = error.get_ref().and_then(|inner| inner.downcast_ref::<PitError>());
    if let Some(error @ PitError::Stopped { .. }) = stopped {
        return raise(py, error);
    }
    if error.kind() == io::ErrorKind::OutOfMemory {
        return PyMemoryError::new_err(error.to_string());
    }
    let number = match error.kind() {
        io::ErrorKind::InvalidInput => EINVAL,
        _ => error.raw_os_error().unwrap_or(EIO),
    };
    PyOSError::new_err((number, error.to_string()))
}

/// Fills `out`; fewer bytes only at the end.
fn read_whole(reader: &mut BufReader<ArtifactReader>, out: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match reader.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Moves, and keeps what was read ahead where it is of use there.
fn seek(reader: &mut BufReader<ArtifactReader>, to: SeekFrom) -> io::Result<u64> {
    let position = reader.stream_position()?;
    let target = match to {
        SeekFrom::Start(offset) => Some(offset),
        SeekFrom::Current(distance) => position.checked_add_signed(distance),
        SeekFrom::End(distance) => reader.get_ref().size().checked_add_signed(distance),
    };
    let target = target.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "a place before the start of the artifact")
    })?;
    match i64::try_from(i128::from(target) - i128::from(position)) {
        Ok(distance) => reader.seek_relative(distance)?,
        Err(_) => drop(reader.seek(SeekFrom::Start(target))?),
    }
    Ok(target)
}

fn index(place: usize) -> PyResult<isize> {
    isize::try_from(place).map_err(|_| PyValueError::new_err("the buffer is too long"))
}
