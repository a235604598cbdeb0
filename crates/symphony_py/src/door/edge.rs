//! Keys and needs, as `symphony/_boot/registration.py` and the command line's `check` hand them over.
//!
//! Invariant: a key crosses the border once; every need of it then shares its texts, and the file of its component.

use component::{ComponentName, Location, Need, NeedKind};
use pyo3::prelude::*;

/// What is provided or needed.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Key(component::Key);

#[pymethods]
impl Key {
    #[new]
    fn new(id: String, label: String) -> Self {
        Self(component::Key::labelled(id, label))
    }
}

/// Key, kind, named provider, parameter, file, line, column, hint. A line without a file is one of the component's own
/// file.
pub(crate) type Edge =
    (Py<Key>, Kind, Option<String>, Option<String>, Option<String>, u32, u32, Option<String>);

/// `one`, `optional`, `every` or `late`.
pub(crate) struct Kind(NeedKind);

impl<'py> FromPyObject<'_, 'py> for Kind {
    type Error = PyErr;

    fn extract(word: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(match word.extract::<&str>()? {
            "optional" => NeedKind::Optional,
            "every" => NeedKind::Every,
            "late" => NeedKind::Late,
            _ => NeedKind::One,
        }))
    }
}

pub(crate) fn keys_of(keys: &[Py<Key>]) -> Vec<component::Key> {
    keys.iter().map(|key| key.get().0.clone()).collect()
}

/// The needs of a component that was written there.
pub(crate) fn needs_of(edges: Vec<Edge>, component: Option<&Location>) -> Vec<Need> {
    edges.into_iter().map(|edge| need_of(edge, component)).collect()
}

fn need_of(edge: Edge, component: Option<&Location>) -> Need {
    let (key, Kind(kind), named, parameter, file, line, column, hint) = edge;
    let file = file.map(Into::into);
    let file = file.or_else(|| component.filter(|_| line > 0).map(|own| own.file.clone()));
    Need {
        key: key.get().0.clone(),
        kind,
        named: named.map(ComponentName::from),
        parameter: parameter.map(Into::into),
        location: file.map(|file| Location { file, line, column }),
        hint: hint.map(Into::into),
    }
}
