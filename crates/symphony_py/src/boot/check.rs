//! What `symphony check` and `symphony graph` ask of the core: faults of files, and the plan of a described graph.

use std::path::PathBuf;

use boot_orchestrator::system::{System, SystemOptions};
use boot_orchestrator::{GraphFormat, Registry};
use component::Code;
use orchestra_kit::catalogue::Sources;
use orchestra_kit::document::Located;
use orchestra_kit::manifest::{Member, SystemManifest};
use orchestra_kit::operations::known_operations;
use orchestra_kit::trust::lock_file;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::door::diagnostic::{list, working_directory};
use crate::door::edge::Keys;
use crate::door::error::Fields;
use crate::door::process::environment;
use crate::door::spec::ComponentSpec;
use crate::work::sources::PythonSources;

/// Every fault of the manifests and Melodies at these paths.
#[pyfunction]
pub(crate) fn check_paths(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    read_operations: Py<PyAny>,
) -> PyResult<Bound<'_, PyList>> {
    let reader = PythonSources::with(read_operations);
    let lock = lock_file(&environment(py)?);
    let faults = py.detach(|| {
        let members = known_operations(&Member::ALL);
        let sources =
            Sources { reader: Some(&reader), lock: lock.as_deref(), ..Sources::default() };
        orchestra_kit::check::check_paths(&paths, &members, sources)
    });
    reader.finish()?;
    list(py, &faults)
}

/// How many manifests, extensions and Melodies lie at these paths.
#[pyfunction]
pub(crate) fn count_paths(py: Python<'_>, paths: Vec<PathBuf>) -> (usize, usize, usize) {
    let looked = py.detach(|| orchestra_kit::check::looked(&paths));
    (looked.manifests, looked.extensions, looked.melodies)
}

/// The files of the Melodies that lie at these paths.
#[pyfunction]
pub(crate) fn find_melodies(py: Python<'_>, paths: Vec<PathBuf>) -> Vec<String> {
    let found = py.detach(|| orchestra_kit::check::melodies(&paths));
    found.into_iter().map(|file| file.to_string_lossy().into_owned()).collect()
}

/// An extension: its name, file, line and column, and the names of its operations where they are known.
type FoundExtension = (String, String, u32, u32, Option<Vec<String>>);

/// The extensions whose manifests lie at these paths.
#[pyfunction]
pub(crate) fn find_extensions(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    read_operations: Py<PyAny>,
) -> PyResult<Vec<FoundExtension>> {
    let reader = PythonSources::with(read_operations);
    let found = py.detach(|| {
        let sources = Sources { reader: Some(&reader), ..Sources::default() };
        orchestra_kit::check::extensions(&paths, sources)
    });
    reader.finish()?;
    let told = found.into_iter().map(|one| {
        let at = one.location;
        (one.name, at.file.to_string(), at.line, at.column, one.operations)
    });
    Ok(told.collect())
}

/// A permission: its key, what the manifest says, the same in words, what follows from it, and the line.
type Asked = (&'static str, Vec<String>, String, Option<String>, Option<u32>);

/// What the manifests of extensions at these paths ask for: of each its name, file and line, and its permissions.
#[pyfunction]
pub(crate) fn asked_permissions(
    py: Python<'_>,
    paths: Vec<PathBuf>,
) -> Vec<(String, String, u32, Vec<Asked>)> {
    let manifests = py.detach(|| orchestra_kit::check::extension_manifests(&paths));
    let told = manifests.into_iter().map(|manifest| {
        let asked = manifest.asked().into_iter();
        let asked = asked.map(|one| {
            let line = one.at.map(|at| at.line);
            (one.permission, one.values, one.words, one.note, line)
        });
        let at = &manifest.name.at;
        (manifest.name.value.clone(), at.file.to_string(), at.line, asked.collect())
    });
    told.collect()
}

/// What has to be watched to hear that an extension's program, or the extensions of a system, are others.
///
/// Of an extension's manifest its program or library, where it is a file of its own; of a system's the folders in which
/// its globs look. Nothing where the manifest cannot be read.
#[pyfunction]
pub(crate) fn watched_paths(py: Python<'_>, manifest: PathBuf) -> Vec<PathBuf> {
    py.detach(|| orchestra_kit::check::watched_paths(&manifest))
}

/// What a manifest names for the boot: its file; each module of `components`, and the Conductor, with line and column.
type Declared = (String, Vec<(String, u32, u32)>, Option<(String, u32, u32)>);

/// The systems whose manifests lie at these paths, and what each names for its boot.
#[pyfunction]
pub(crate) fn find_systems(py: Python<'_>, paths: Vec<PathBuf>) -> Vec<Declared> {
    py.detach(|| orchestra_kit::check::systems(&paths)).into_iter().map(declared_by).collect()
}

/// What one manifest names for its boot; nothing where it cannot be read, which the boot tells.
#[pyfunction]
pub(crate) fn declared_in(py: Python<'_>, path: PathBuf) -> Option<Declared> {
    py.detach(|| SystemManifest::read(&path)).ok().map(declared_by)
}

fn declared_by(manifest: SystemManifest) -> Declared {
    let place = |name: Located<String>| (name.value, name.at.line, name.at.column);
    let components = manifest.components.into_iter().map(place).collect();
    (manifest.file.to_string_lossy().into_owned(), components, manifest.conductor.map(place))
}

/// The component graph of a system by phase, without starting anything but its plan.
#[pyfunction]
pub(crate) fn plan_graph(py: Python<'_>, path: Option<PathBuf>, format: &str) -> PyResult<String> {
    let Some(format) = GraphFormat::parse(format) else {
        let known = GraphFormat::ALL.map(GraphFormat::as_str).join(", ");
        return Err(Fields::new(
            Code::INVALID_VALUE,
            format!("`{format}` is not a format; the formats are {known}"),
        )
        .raise(py));
    };
    let environment = environment(py)?;
    let options = SystemOptions { manifest: path, environment, ..SystemOptions::default() };
    let drawn = py.detach(|| {
        let system = System::described(options)?;
        let mut registry = Registry::new();
        system.register(&mut registry);
        registry.plan().map(|plan| plan.graph(format)).map_err(|faults| faults.diagnostics)
    });
    drawn.map_err(|faults| {
        let mut fields = Fields::new(Code::MANIFEST_INVALID, String::new());
        fields.diagnostics = faults;
        fields.boot = true;
        fields.raise(py)
    })
}

/// Every fault that the planner finds in these components beside those of Symphony's own, but `replaced` ones.
///
/// A manifest at fault is another's to tell, so the system is planned without it then.
#[pyfunction]
#[pyo3(signature = (specs, replaced, config=None))]
pub(crate) fn plan_specs<'py>(
    py: Python<'py>,
    specs: Vec<PyRef<'py, ComponentSpec>>,
    replaced: Vec<String>,
    config: Option<PathBuf>,
) -> PyResult<Bound<'py, PyList>> {
    let options = SystemOptions { manifest: config, ..SystemOptions::default() };
    let mut keys = Keys::default();
    let specs = specs.iter().map(|spec| keys.descriptor(py, spec)).collect::<PyResult<Vec<_>>>()?;
    let faults = py.detach(|| {
        let system =
            System::described(options).or_else(|_| System::described(SystemOptions::default()))?;
        for key in replaced {
            system.replace(&key);
        }
        let mut registry = Registry::new();
        if let Some(directory) = working_directory() {
            registry.relative_to(directory);
        }
        system.register(&mut registry);
        for descriptor in specs {
            registry.declare(descriptor);
        }
        registry.plan().map_err(|faults| faults.diagnostics)
    });
    list(py, &faults.err().unwrap_or_default())
}
