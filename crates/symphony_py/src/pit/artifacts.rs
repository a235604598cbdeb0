//! `pit.artifacts`.

use std::sync::Arc;

use ::pit::PitResult;
use ::pit::artifact_store::{ArtifactId, ArtifactStore as Store, PutOptions};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::artifact_file::ArtifactFile;
use super::artifact_writer::{ArtifactWriter, bytes_of};
use super::member_ref::{Calling, MemberRef};
use crate::door::enter::{enter, guard, wait_asking};
use crate::door::error::raise;
use crate::door::values::bytes as python_bytes;

/// What is read of a file at once.
const PIECE: usize = 1 << 20;

/// Content-addressed blobs with names, versions, tags and lineage.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct ArtifactStore {
    member: MemberRef<Store>,
}

fn id_of(py: Python<'_>, id: &str) -> PyResult<ArtifactId> {
    id.parse().map_err(|error: ::pit::PitError| raise(py, &error))
}

/// Says that both kinds of handle are binary files, to whoever asks for the class.
pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let register = py.import("io")?.getattr("BufferedIOBase")?.getattr("register")?;
    register.call1((py.get_type::<ArtifactFile>(),))?;
    register.call1((py.get_type::<ArtifactWriter>(),))?;
    Ok(())
}

fn stored(py: Python<'_>, put: PitResult<ArtifactId>) -> PyResult<String> {
    put.map(|id| id.to_string()).map_err(|error| raise(py, &error))
}

/// Stores what a file gives from where it stands; of one that fails on the way nothing stays.
fn put_file(
    py: Python<'_>,
    store: &Arc<Store>,
    read: &Bound<'_, PyAny>,
    options: PutOptions,
) -> PyResult<String> {
    let mut writer = enter(py, || store.writer(options))?.map_err(|error| raise(py, &error))?;
    loop {
        let piece = read.call1((PIECE,))?;
        let Some(bytes) = bytes_of(&piece)? else {
            let found = piece.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "`data` takes a file of bytes; its `read` gave {found}"
            )));
        };
        let bytes = bytes.as_slice();
        if bytes.is_empty() {
            return stored(py, enter(py, || writer.finish())?);
        }
        enter(py, || writer.write(bytes))?.map_err(|error| raise(py, &error))?;
    }
}

impl ArtifactStore {
    pub(super) fn new(member: MemberRef<Store>) -> Self {
        Self { member }
    }

    /// The member itself, as long as it is in its place.
    fn store(&self, py: Python<'_>) -> PyResult<Calling<'_, Store>> {
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

    /// Stores bytes; a text is stored as UTF-8. The same bytes are stored once.
    ///
    /// Args:
    ///     data: The bytes, or a file that is open for reading bytes: it is read from where it stands to its end, in
    ///         pieces, and closed by whoever opened it. Where its `read` raises, nothing is stored.
    ///     name: A name, of which this becomes the newest version.
    ///     tags: Added to those that it has.
    ///     parents: The ids of what it was made from; history, so one of them may be gone.
    ///
    /// Returns:
    ///     The id: BLAKE3 of the bytes, 64 hexadecimal digits.
    ///
    /// Raises:
    ///     InvalidValueError: A parent's id is no id.
    ///     TypeError: `data` is neither text nor bytes nor a file of bytes.
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
        if let Ok(text) = data.cast::<PyString>() {
            let text = text.to_str()?.as_bytes();
            return stored(py, enter(py, || store.put(text, &options))?);
        }
        if let Some(bytes) = bytes_of(data)? {
            let bytes = bytes.as_slice();
            return stored(py, enter(py, || store.put(bytes, &options))?);
        }
        if let Ok(read) = data.getattr("read") {
            return put_file(py, &store, &read, options);
        }
        Err(PyTypeError::new_err(
            "`data` takes bytes or str, or a file that is open for reading bytes",
        ))
    }

    /// Begins an artifact that is written piece by piece: `with store.writer(name="n") as out: out.write(b"…")`.
    ///
    /// Nothing of it is there before its end, and nothing of it stays where the `with` ends by an exception.
    ///
    /// Args:
    ///     name: As for `put`.
    ///     tags: As for `put`.
    ///     parents: As for `put`.
    ///
    /// Raises:
    ///     InvalidValueError: A parent's id is no id, or that is no lawful name or tag.
    #[pyo3(signature = (*, name = None, tags = Vec::new(), parents = Vec::new()))]
    fn writer(
        &self,
        py: Python<'_>,
        name: Option<String>,
        tags: Vec<String>,
        parents: Vec<String>,
    ) -> PyResult<ArtifactWriter> {
        let store = self.store(py)?;
        let parents = parents.iter().map(|parent| id_of(py, parent)).collect::<PyResult<_>>()?;
        let options = PutOptions { name, tags, parents };
        let writer = enter(py, || store.writer(options))?.map_err(|error| raise(py, &error))?;
        Ok(ArtifactWriter::new(writer))
    }

    /// The bytes.
    ///
    /// Raises:
    ///     NotFoundError: There is no such artifact.
    ///     InvalidValueError: That is no id.
    fn get<'py>(&self, py: Python<'py>, id: &str) -> PyResult<Bound<'py, PyBytes>> {
        let store = self.store(py)?;
        let id = id_of(py, id)?;
        let bytes = enter(py, || store.get(&id))?.map_err(|error| raise(py, &error))?;
        python_bytes(py, &bytes)
    }

    /// Opens an artifact as a binary file: `zipfile.ZipFile(store.open(id))`.
    ///
    /// It can be read to its end also when the artifact is deleted meanwhile.
    ///
    /// Raises:
    ///     NotFoundError: There is no such artifact.
    ///     InvalidValueError: That is no id.
    fn open(&self, py: Python<'_>, id: &str) -> PyResult<ArtifactFile> {
        let store = self.store(py)?;
        let id = id_of(py, id)?;
        let reader = enter(py, || store.open_reader(&id))?.map_err(|error| raise(py, &error))?;
        Ok(ArtifactFile::new(reader))
    }

    /// Whether there is such an artifact.
    ///
    /// Raises:
    ///     InvalidValueError: That is no id.
    fn exists(&self, py: Python<'_>, id: &str) -> PyResult<bool> {
        let store = self.store(py)?;
        let id = id_of(py, id)?;
        enter(py, || store.exists(&id))?.map_err(|error| raise(py, &error))
    }

    /// What is known of an artifact.
    ///
    /// Raises:
    ///     NotFoundError: There is no such artifact.
    ///     InvalidValueError: That is no id.
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

    /// The ids of those that have this name and this tag; without both, of all.
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

    /// The ids that had this name, oldest first; empty where nothing had it.
    fn versions(&self, py: Python<'_>, name: String) -> PyResult<Vec<String>> {
        let store = self.store(py)?;
        let versions = enter(py, || store.versions(&name))?.map_err(|error| raise(py, &error))?;
        Ok(versions.iter().map(ToString::to_string).collect())
    }

    /// The ids of what an artifact was made from, of what that was made from, and so on, nearest first; also of what is gone.
    ///
    /// Raises:
    ///     NotFoundError: There is no such artifact.
    ///     InvalidValueError: That is no id.
    fn lineage(&self, py: Python<'_>, id: &str) -> PyResult<Vec<String>> {
        let store = self.store(py)?;
        let id = id_of(py, id)?;
        let found = enter(py, || store.lineage(&id))?.map_err(|error| raise(py, &error))?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    /// The ids of what was made from an artifact, of what was made from that, and so on, nearest first; also where it is gone
    /// itself.
    ///
    /// Raises:
    ///     InvalidValueError: That is no id.
    fn derived(&self, py: Python<'_>, id: &str) -> PyResult<Vec<String>> {
        let store = self.store(py)?;
        let id = id_of(py, id)?;
        let found = enter(py, || store.derived(&id))?.map_err(|error| raise(py, &error))?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    /// Gives back to the disk what no artifact uses: dead parts of segments, and files that a killed process left. No artifact
    /// is deleted, and whoever reads one goes on.
    ///
    /// Returns:
    ///     The bytes that were given back.
    fn collect(&self, py: Python<'_>) -> PyResult<u64> {
        let store = self.store(py)?;
        let collected = wait_asking(py, |asks| store.collect(asks))?;
        Ok(collected.map_err(|error| raise(py, &error))?.bytes)
    }

    /// Removes an artifact, with its names.
    ///
    /// Raises:
    ///     NotFoundError: There is no such artifact.
    ///     InvalidValueError: That is no id.
    fn delete(&self, py: Python<'_>, id: &str) -> PyResult<()> {
        let store = self.store(py)?;
        let id = id_of(py, id)?;
        enter(py, || store.delete(&id))?.map_err(|error| raise(py, &error))
    }

    /// Reads every artifact and compares its bytes with its id.
    fn verify<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let store = self.store(py)?;
        let report =
            wait_asking(py, |asks| store.verify_while(asks))?.map_err(|error| raise(py, &error))?;
        let entry = PyDict::new(py);
        entry.set_item("checked", report.checked)?;
        entry.set_item("bad", report.bad.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        if let Some(journal) = report.journal {
            entry.set_item("journal", journal)?;
        }
        Ok(entry)
    }

    /// Figures.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let store = self.store(py)?;
        let stats = enter(py, || store.stats())?;
        let entry = PyDict::new(py);
        entry.set_item("artifacts", stats.artifacts)?;
        entry.set_item("bytes", stats.bytes)?;
        entry.set_item("stored_bytes", stats.stored_bytes)?;
        entry.set_item("dead_bytes", stats.dead_bytes)?;
        entry.set_item("puts", stats.puts)?;
        entry.set_item("deduplicated", stats.deduplicated)?;
        entry.set_item("gets", stats.gets)?;
        entry.set_item("journal_bytes", stats.journal_bytes)?;
        entry.set_item("replayed", stats.replayed)?;
        entry.set_item("truncated", stats.truncated)?;
        Ok(entry)
    }
}
