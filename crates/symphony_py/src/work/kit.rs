//! The Orchestra Kit's core: extensions by name, Melodies, the conductor thread's port.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use boot_orchestrator::system::System;
use ipc::Payload;
use orchestra_kit::catalogue::{Known, Together};
use orchestra_kit::document::Located;
use orchestra_kit::manifest::Execution;
use orchestra_kit::melody::engine::Engine;
use orchestra_kit::operations::known_operations;
use orchestra_kit::{Kit as Inner, Operations as _};
use parking_lot::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::door::enter::{guard, wait_polling};
use crate::door::values::encode;
use crate::work::call_result::{fields_of_extension, fields_of_kit, stopped};
use crate::work::extension::ExtensionHandle;
use crate::work::melody::{Melody, Run, melody_error};
use crate::work::policy::PolicyPort;
use crate::work::sources::PythonSources;

/// The kit as `symphony/_work/kit.py` holds it.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Kit {
    system: Arc<System>,
    stretch: Mutex<Option<Stretch>>,
    melodies: Mutex<Vec<KnownFile>>,
    /// Melodies whose calls were checked.
    checked: Mutex<Vec<Weak<orchestra_kit::Melody>>>,
    closing: Arc<AtomicBool>,
}

/// A Melody that was read from a file, and the file's state then: who edits it runs what it says now.
struct KnownFile {
    path: PathBuf,
    stamp: Option<(SystemTime, u64)>,
    melody: Arc<orchestra_kit::Melody>,
}

/// A stretch of work: what `run()` tells of.
struct Stretch {
    since: Instant,
    done: u64,
    failed: u64,
}

impl Kit {
    pub(crate) const fn system(&self) -> &Arc<System> {
        &self.system
    }

    /// What was checked against the extensions may be different now: another version has a name.
    pub(crate) fn forget_checks(&self) {
        self.checked.lock().clear();
    }

    pub(crate) fn of(system: &Arc<System>) -> Option<Self> {
        system.kit()?;
        Some(Self {
            system: Arc::clone(system),
            stretch: Mutex::new(None),
            melodies: Mutex::new(Vec::new()),
            checked: Mutex::new(Vec::new()),
            closing: system.closing(),
        })
    }

    /// The kit itself, as long as the system is up.
    fn kit(&self, py: Python<'_>) -> PyResult<Inner> {
        guard(py)?;
        self.system.kit().ok_or_else(|| stopped("the Orchestra Kit").raise(py))
    }

    /// The engine itself, as long as the system is up.
    fn engine(&self, py: Python<'_>) -> PyResult<Arc<Engine>> {
        guard(py)?;
        self.system.engine().ok_or_else(|| stopped("the Orchestra Kit").raise(py))
    }

    fn told(&self, engine: &Engine) -> (u64, u64, u64, f64) {
        let Some(stretch) = self.stretch.lock().take() else { return (0, 0, 0, 0.0) };
        let stats = engine.stats();
        let (ok, failed) = (stats.done - stretch.done, stats.failed - stretch.failed);
        (ok + failed, ok, failed, stretch.since.elapsed().as_secs_f64())
    }

    fn melody(
        &self,
        py: Python<'_>,
        melody: &Bound<'_, PyAny>,
    ) -> PyResult<Arc<orchestra_kit::Melody>> {
        if let Ok(melody) = melody.cast::<Melody>() {
            return Ok(Arc::clone(&melody.get().melody));
        }
        let path: PathBuf = melody
            .extract()
            .map_err(|_| PyTypeError::new_err("a Melody is a `Melody` or the path of one"))?;
        let path = std::path::absolute(&path).unwrap_or(path);
        let about = std::fs::metadata(&path).ok();
        let stamp = about.and_then(|about| Some((about.modified().ok()?, about.len())));
        let known = |file: &&KnownFile| file.path == path && file.stamp == stamp;
        if let Some(file) = self.melodies.lock().iter().find(known) {
            return Ok(Arc::clone(&file.melody));
        }
        let melody = py
            .detach(|| orchestra_kit::Melody::read(&path))
            .map(Arc::new)
            .map_err(|faults| melody_error(py, faults))?;
        let mut melodies = self.melodies.lock();
        melodies.retain(|file| file.path != path);
        melodies.push(KnownFile { path, stamp, melody: Arc::clone(&melody) });
        Ok(melody)
    }

    /// Checks once what a Melody calls, against what is known without starting anything.
    fn check(&self, py: Python<'_>, melody: &Arc<orchestra_kit::Melody>) -> PyResult<()> {
        if self.checked.lock().iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(melody)))
        {
            return Ok(());
        }
        let catalogue = self.kit(py)?.catalogue();
        let members = known_operations(self.system.members());
        let reader = PythonSources::new(py)?;
        let read = catalogue.with_sources(&reader, |name| {
            melody.nodes.iter().any(|node| node.target_and_operation().0 == name)
        });
        reader.finish()?;
        let faults = orchestra_kit::melody::check(melody, &Together(&[&members, &read]));
        if faults.iter().any(|fault| fault.severity == component::Severity::Error) {
            return Err(melody_error(py, faults));
        }
        let mut checked = self.checked.lock();
        checked.retain(|known| known.strong_count() > 0);
        checked.push(Arc::downgrade(melody));
        Ok(())
    }
}

#[pymethods]
impl Kit {
    /// The handle of an extension.
    fn extension(&self, py: Python<'_>, name: &str) -> PyResult<ExtensionHandle> {
        match self.kit(py)?.extension(name) {
            Ok(_) => Ok(ExtensionHandle::new(Arc::clone(&self.system), name)),
            Err(error) => Err(fields_of_extension(&error).raise(py)),
        }
    }

    /// The names of all extensions, sorted.
    fn extensions(&self) -> Vec<String> {
        self.system
            .catalogue()
            .entries()
            .iter()
            .map(orchestra_kit::Entry::name)
            .map(str::to_owned)
            .collect()
    }

    /// The operations that are known of an extension without starting it; `None` where they are not.
    fn operations(&self, name: &str) -> Option<Vec<String>> {
        let running = self.system.kit().map(|kit| kit.catalogue());
        let catalogue = running.unwrap_or_else(|| Arc::clone(self.system.catalogue()));
        match catalogue.target(name)? {
            Known::Operations(operations) => {
                Some(operations.iter().map(|known| known.name.clone()).collect())
            }
            Known::Unverified => None,
        }
    }

    /// The version that has the name of an extension, and its folder.
    fn version(&self, py: Python<'_>, name: &str) -> PyResult<(String, String)> {
        let found = self.kit(py)?.extension(name);
        let handle = found.map_err(|error| fields_of_extension(&error).raise(py))?;
        let manifest = handle.manifest();
        Ok((manifest.version.clone(), manifest.folder.display().to_string()))
    }

    /// What the manifest of an extension grants, and the digest of that manifest.
    fn grants<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        let found = self.kit(py)?.extension(name);
        let handle = found.map_err(|error| fields_of_extension(&error).raise(py))?;
        let manifest = handle.manifest();
        let granted = &manifest.permissions;
        let texts = |list: &[Located<String>]| {
            list.iter().map(|entry| entry.value.clone()).collect::<Vec<_>>()
        };
        let fields = PyDict::new(py);
        fields.set_item("in_root", manifest.execution == Execution::Pit)?;
        fields.set_item("write", texts(&granted.write))?;
        fields.set_item("run", texts(&granted.run))?;
        fields.set_item("network", !granted.network.is_refused())?;
        fields.set_item("calls", texts(&granted.calls))?;
        fields.set_item("digest", &manifest.digest)?;
        Ok(fields)
    }

    /// Each permission of an extension and how far it is enforced.
    fn enforcement(&self, py: Python<'_>, name: &str) -> PyResult<Vec<(&'static str, String)>> {
        let levels = self
            .kit(py)?
            .enforcement(name)
            .map_err(|error| fields_of_extension(&error).raise(py))?;
        Ok(levels.into_iter().map(|entry| (entry.permission, entry.to_string())).collect())
    }

    /// The port of the conductor thread.
    fn policy_port(&self, chooses: bool, observes: bool) -> Option<PolicyPort> {
        self.system.take_policy().map(|receiver| PolicyPort::new(receiver, chooses, observes))
    }

    /// Starts a Melody.
    fn submit(
        &self,
        py: Python<'_>,
        melody: &Bound<'_, PyAny>,
        inputs: &Bound<'_, PyDict>,
        priority: i64,
    ) -> PyResult<Run> {
        let engine = self.engine(py)?;
        let melody = self.melody(py, melody)?;
        self.check(py, &melody)?;
        let inputs = inputs
            .iter()
            .map(|(name, value)| Ok((name.extract()?, encode(&value)?)))
            .collect::<PyResult<Vec<(String, Payload)>>>()?;
        {
            let mut stretch = self.stretch.lock();
            if stretch.is_none() {
                let stats = engine.stats();
                *stretch =
                    Some(Stretch { since: Instant::now(), done: stats.done, failed: stats.failed });
            }
        }
        let run = py.detach(|| engine.submit(&melody, inputs, priority));
        run.map(Run::new).map_err(|error| fields_of_kit(&error).raise(py))
    }

    /// Waits until nothing is left to do, or for ever: count, ok, failed, seconds.
    fn run(&self, py: Python<'_>, forever: bool) -> PyResult<(u64, u64, u64, f64)> {
        let engine = self.engine(py)?;
        wait_polling(py, |span| {
            if self.closing.load(Ordering::Acquire) {
                return Some(());
            }
            if forever {
                std::thread::sleep(span.min(Duration::from_millis(20)));
                return None;
            }
            engine.wait_idle(Some(span)).then_some(())
        })?;
        Ok(self.told(&engine))
    }

    /// What ended since the last summary: count, ok, failed, seconds.
    fn summary(&self, py: Python<'_>) -> PyResult<(u64, u64, u64, f64)> {
        let engine = self.engine(py)?;
        Ok(self.told(&engine))
    }

    /// Totals of the engine since its start.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.engine(py)?.stats();
        let fields = PyDict::new(py);
        for (name, value) in [
            ("submitted", stats.submitted),
            ("done", stats.done),
            ("failed", stats.failed),
            ("calls", stats.calls),
            ("retried", stats.retried),
            ("asked", stats.asked),
            ("late", stats.late),
            ("refused", stats.refused),
        ] {
            fields.set_item(name, value)?;
        }
        Ok(fields)
    }
}
