//! `pit.artifacts`.

use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use ::pit::artifact_store::{ArtifactId, ArtifactReader, ArtifactStore as Store, PutOptions};
use component::memory;
use parking_lot::Mutex;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyMemoryError, PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::member::MemberRef;
use crate::door::enter::{enter, guard};
use crate::door::error::raise;
use crate::door::values::bytes as bytes_of;

/// Content-addressed blobs with names, versions, tags and lineage.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct ArtifactStore {
    member: MemberRef<Store>,
}

fn id_of(py: Python<'_>, id: &str) -> PyResult<ArtifactId> {
    id.parse().map_err(|error: ::pit::PitError| raise(py, &error))
}

impl ArtifactStore {
    pub(super) const fn new(member: MemberRef<Store>) -> Self {
        Self { member }
    }

    /// The member itself, as long as it is in its place.
    fn store(&self, py: Python<'_>) -> PyResult<Arc<Store>> {
        self.member.get(py)
    }
}

#[pymethods]
impl ArtifactStore {
    /// The door alone, which every call goes through before its work; what a benchmark sets beside `_nothing`.
    fn _door(&self, py: Python<'_>) -> PyResult<()> {
        guard(py)?;
        self.store(py).map(drop)
    }

    /// A method that does nothing.
    #[expect(clippy::unused_self, reason = "it is a method so that it costs what one costs")]
    const fn _nothing(&self) {}

    #[pyo3(signature = (data, *, name = None, tags = Vec::new(), parents = Vec::new()))]
    fn put(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        name: Option<String>,
        tags: Vec<String>,
        parents: Vec<String>,
    ) -> PyResult<String> {
        let store = self.store(py)?;
        let parents = parents.iter().map(|parent| id_of(py, parent)).collect::<PyResult<_>>()?;
        let options = PutOptions { name, tags, parents };
        let put = |bytes: &[u8]| enter(py, || store.put(bytes, &options));
        let id = if let Ok(bytes) = data.cast::<PyBytes>() {
            put(bytes.as_bytes())?
        } else if let Ok(text) = data.cast::<PyString>() {
            put(text.to_str()?.as_bytes())?
        } else if let Ok(buffer) = PyBuffer::<u8>::get(data) {
            let mut copy =
                memory::with_room(buffer.item_count()).map_err(|error| raise(py, &error))?;
            copy.resize(buffer.item_count(), 0);
            buffer.copy_to_slice(py, &mut copy)?;
            put(&copy)?
        } else {
            return Err(PyTypeError::new_err("`data` takes bytes or str"));
        };
        id.map(|id| id.to_string()).map_err(|error| raise(py, &error))
    }

    fn get<'py>(&self, py: Python<'py>, id: &str) -> PyResult<Bound<'py, PyBytes>> {
        let store = self.store(py)?;
        let id = id_of(py, id)?;
        let bytes = enter(py, || store.get(&id))?.map_err(|error| raise(py, &error))?;
        bytes_of(py, &bytes)
    }

    fn open(&self, py: Python<'_>, id: &str) -> PyResult<ArtifactFile> {
        let store = self.store(py)?;
        let id = id_of(py, id)?;
        let reader = enter(py, || store.open_reader(&id))?.map_err(|error| raise(py, &error))?;
        Ok(ArtifactFile { reader: Mutex::new(Some(reader)) })
    }

    fn exists(&self, py: Python<'_>, id: &str) -> PyResult<bool> {
        let store = self.store(py)?;
        let id = id_of(py, id)?;
        enter(py, || store.exists(&id))?.map_err(|error| raise(py, &error))
    }

    fn metadata<'py>(&self, py: Python<'py>, id: &str) -> PyResult<Bound<'py, PyDict>> {
        let store = self.store(py)?;
        let id = id_of(py, id)?;
        let metadata = enter(py, || store.metadata(&id))?.map_err(|error| raise(py, &error))?;
        let entry = PyDict::new(py);
        entry.set_item("id", metadata.id.to_string())?;
        entry.set_item("size", metadata.size)?;
        entry.set_item("created", metadata.created)?;
        entry.set_item("names", metadata.names)?;
        entry.set_item("tags", metadata.tags)?;
        let parents: Vec<String> = metadata.parents.iter().map(ToString::to_string).collect();
        entry.set_item("parents", parents)?;
        entry.set_item("reads", metadata.reads)?;
        entry.set_item("last_read", metadata.last_read)?;
        entry.set_item("archived", metadata.archived)?;
        Ok(entry)
    }

    #[pyo3(signature = (*, name = None, tag = None))]
    fn find(
        &self,
        py: Python<'_>,
        name: Option<String>,
        tag: Option<String>,
    ) -> PyResult<Vec<String>> {
        let store = self.store(py)?;
        let found = enter(py, || store.find(name.as_deref(), tag.as_deref()))?
            .map_err(|error| raise(py, &error))?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    fn versions(&self, py: Python<'_>, name: String) -> PyResult<Vec<String>> {
        let store = self.store(py)?;
        let versions = enter(py, || store.versions(&name))?.map_err(|error| raise(py, &error))?;
        Ok(versions.iter().map(ToString::to_string).collect())
    }

    fn delete(&self, py: Python<'_>, id: &str) -> PyResult<()> {
        let store = self.store(py)?;
        let id = id_of(py, id)?;
        enter(py, || store.delete(&id))?.map_err(|error| raise(py, &error))
    }

    fn verify<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let store = self.store(py)?;
        let report = enter(py, || store.verify())?.map_err(|error| raise(py, &error))?;
        let entry = PyDict::new(py);
        entry.set_item("checked", report.checked)?;
        entry.set_item("bad", report.bad.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        Ok(entry)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let store = self.store(py)?;
        let stats = enter(py, || store.stats())?;
        let entry = PyDict::new(py);
        entry.set_item("artifacts", stats.artifacts)?;
        entry.set_item("bytes", stats.bytes)?;
        entry.set_item("puts", stats.puts)?;
        entry.set_item("deduplicated", stats.deduplicated)?;
        entry.set_item("gets", stats.gets)?;
        entry.set_item("journal_bytes", stats.journal_bytes)?;
        entry.set_item("replayed", stats.replayed)?;
        entry.set_item("truncated", stats.truncated)?;
        Ok(entry)
    }
}

/// An artifact opened for reading: a context manager with `read`, `seek` and `close`.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct ArtifactFile {
    reader: Mutex<Option<ArtifactReader>>,
}

impl ArtifactFile {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut ArtifactReader) -> std::io::Result<T> + Send,
    ) -> PyResult<T> {
        let done = enter(py, || self.reader.lock().as_mut().map(work))?;
        done.ok_or_else(|| PyValueError::new_err("the artifact was closed"))?.map_err(|error| {
            match error.kind() {
                ErrorKind::OutOfMemory => PyMemoryError::new_err(error.to_string()),
                _ => PyOSError::new_err(error.to_string()),
            }
        })
    }
}

#[pymethods]
impl ArtifactFile {
    #[pyo3(signature = (size = -1))]
    fn read<'py>(&self, py: Python<'py>, size: i64) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.with(py, |reader| {
            let mut bytes = Vec::new();
            match u64::try_from(size) {
                Ok(limit) => reader.take(limit).read_to_end(&mut bytes)?,
                Err(_) => reader.read_to_end(&mut bytes)?,
            };
            Ok(bytes)
        })?;
        bytes_of(py, &bytes)
    }

    #[pyo3(signature = (offset, whence = 0))]
    fn seek(&self, py: Python<'_>, offset: i64, whence: u8) -> PyResult<u64> {
        let from = match whence {
            0 => SeekFrom::Start(
                u64::try_from(offset).map_err(|_| PyValueError::new_err("a negative offset"))?,
            ),
            1 => SeekFrom::Current(offset),
            2 => SeekFrom::End(offset),
            _ => return Err(PyValueError::new_err("`whence` is 0, 1 or 2")),
        };
        self.with(py, |reader| reader.seek(from))
    }

    /// The artifact's length in bytes.
    #[getter]
    fn size(&self) -> PyResult<u64> {
        self.reader
            .lock()
            .as_ref()
            .map(ArtifactReader::size)
            .ok_or_else(|| PyValueError::new_err("the artifact was closed"))
    }

    fn close(&self) {
        self.reader.lock().take();
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyAny>) {
        self.close();
    }
}
