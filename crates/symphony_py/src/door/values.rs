//! Python values to `MessagePack` and back, without a value in between.
//!
//! Caller: every binding that sends or receives a call's inputs and results. Invariant: what is not one of the types
//! of the contract is a `TypeError` at the caller; nothing is guessed, nothing is lost, and nothing is written without a bound.

use bytes::Bytes;
use ipc::{MAX_DEPTH, MAX_VALUES, Payload, ValueError};
use pyo3::exceptions::{PyMemoryError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTuple,
};
use rmp::Marker;
use rmp::encode;

/// Room for what stands before a value: a marker and its number or length.
const HEAD: usize = 9;

/// Encodes one value.
pub(crate) fn encode(value: &Bound<'_, PyAny>) -> PyResult<Payload> {
    let mut writer = Writer::new();
    writer.value(value, 0)?;
    writer.finish()
}

/// Encodes the keyword arguments of a call as a map.
pub(crate) fn encode_inputs(inputs: Option<&Bound<'_, PyDict>>) -> PyResult<Payload> {
    let mut writer = Writer::new();
    match inputs {
        Some(inputs) => writer.dict(inputs, 0)?,
        None => sink(encode::write_map_len(&mut writer.out, 0).map(|_| ())),
    }
    writer.finish()
}

/// Writing into memory cannot fail once there is room; the encoder's signature does not know that.
fn sink<E>(_written: Result<(), E>) {}

fn length(size: usize) -> PyResult<u32> {
    u32::try_from(size)
        .map_err(|_| PyTypeError::new_err("a value of more than 4 GiB cannot be sent"))
}

fn unchanged(before: usize, after: usize) -> PyResult<()> {
    if before == after {
        Ok(())
    } else {
        Err(PyTypeError::new_err("a list changed while it was sent"))
    }
}

/// Writes a value and counts what it writes: parts that are shared are small in Python and may be endless written out.
struct Writer {
    out: Vec<u8>,
    /// How many more values the protocol allows.
    left: usize,
}

impl Writer {
    fn new() -> Self {
        Self { out: Vec::with_capacity(64), left: MAX_VALUES }
    }

    fn finish(self) -> PyResult<Payload> {
        Payload::new(Bytes::from(self.out)).map_err(|error| PyTypeError::new_err(error.to_string()))
    }

    /// Makes room for a head and that many bytes after it.
    fn room(&mut self, size: usize) -> PyResult<()> {
        length(self.out.len().saturating_add(size))?;
        self.out.try_reserve(size.saturating_add(HEAD)).map_err(|_| {
            let written = self.out.len();
            let text = format!("a value cannot be sent: {written} bytes are written, and no memory is left for {size} more");
            PyMemoryError::new_err(text)
        })
    }

    fn value(&mut self, value: &Bound<'_, PyAny>, depth: usize) -> PyResult<()> {
        if depth > MAX_DEPTH {
            return Err(PyTypeError::new_err(format!(
                "lists and dicts lie more than {MAX_DEPTH} deep in each other (or contain themselves)"
            )));
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            let many = ValueError::Count { limit: MAX_VALUES };
            PyTypeError::new_err(format!("{many}, each counted as often as it is referred to"))
        })?;
        self.room(0)?;
        if let Ok(text) = value.cast::<PyString>() {
            self.text(text)
        } else if value.is_none() {
            sink(encode::write_nil(&mut self.out));
            Ok(())
        } else if let Ok(truth) = value.cast::<PyBool>() {
            sink(encode::write_bool(&mut self.out, truth.is_true()));
            Ok(())
        } else if let Ok(number) = value.cast::<PyInt>() {
            let number: i64 = number.extract().map_err(|_| {
                PyTypeError::new_err("an integer of more than 64 bits cannot be sent")
            })?;
            sink(encode::write_sint(&mut self.out, number).map(|_| ()));
            Ok(())
        } else if let Ok(number) = value.cast::<PyFloat>() {
            sink(encode::write_f64(&mut self.out, number.value()));
            Ok(())
        } else if let Ok(list) = value.cast::<PyList>() {
            let before = list.len();
            sink(encode::write_array_len(&mut self.out, length(before)?).map(|_| ()));
            for item in list.iter() {
                self.value(&item, depth + 1)?;
            }
            unchanged(before, list.len())
        } else if let Ok(dict) = value.cast::<PyDict>() {
            self.dict(dict, depth)
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            sink(encode::write_array_len(&mut self.out, length(tuple.len())?).map(|_| ()));
            tuple.iter().try_for_each(|item| self.value(&item, depth + 1))
        } else if let Ok(data) = value.cast::<PyBytes>() {
            self.data(data)
        } else if value.is_instance_of::<PyByteArray>() {
            // A copy, since another thread may write into it; made by Python, which says when there is no memory.
            // Not of the object itself, whose class may say something else of its bytes.
            let view = PyMemoryView::from(value)?;
            let data = value.py().get_type::<PyBytes>().call1((view,))?;
            self.data(data.cast::<PyBytes>()?)
        } else {
            self.other(value, depth)
        }
    }

    /// A value of a type that has a form in plain terms, as Python's side says.
    fn other(&mut self, value: &Bound<'_, PyAny>, depth: usize) -> PyResult<()> {
        let py = value.py();
        let plain = py.import(intern!(py, "symphony._work.sent_values"))?;
        let made = plain.getattr(intern!(py, "plain"))?.call1((value,))?;
        if made.is(py.NotImplemented()) || made.is(value) {
            return Err(PyTypeError::new_err(format!(
                "a value of type `{}` cannot be sent; None, bool, int, float, str, bytes, list and dict can, and what has a form in them: data classes, enumerations, dates, paths, sets, …",
                value.get_type().qualname()?
            )));
        }
        self.value(&made, depth + 1)
    }

    fn data(&mut self, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        let data = data.as_bytes();
        self.room(data.len())?;
        sink(encode::write_bin_len(&mut self.out, length(data.len())?).map(|_| ()));
        self.out.extend_from_slice(data);
        Ok(())
    }

    fn text(&mut self, text: &Bound<'_, PyString>) -> PyResult<()> {
        let text = text.to_str().map_err(|_| {
            PyTypeError::new_err("a str with lone surrogates cannot be sent; encode it to bytes")
        })?;
        self.room(text.len())?;
        sink(encode::write_str_len(&mut self.out, length(text.len())?).map(|_| ()));
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn dict(&mut self, dict: &Bound<'_, PyDict>, depth: usize) -> PyResult<()> {
        sink(encode::write_map_len(&mut self.out, length(dict.len())?).map(|_| ()));
        for (key, value) in dict.iter() {
            let key = key.cast::<PyString>().map_err(|_| {
                PyTypeError::new_err("a dict with a key that is not a str cannot be sent")
            })?;
            self.text(key)?;
            self.value(&value, depth + 1)?;
        }
        Ok(())
    }
}

/// A `bytes` of these; without memory a `MemoryError`, where `PyBytes::new` panics.
pub(crate) fn bytes<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, data.len(), |room| {
        room.copy_from_slice(data);
        Ok(())
    })
}

/// Decodes a payload that was checked when it arrived.
pub(crate) fn decode(py: Python<'_>, payload: &Payload) -> PyResult<Py<PyAny>> {
    let mut reader = Reader { bytes: payload.bytes(), at: 0 };
    reader.value(py).map(Bound::unbind)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, size: usize) -> PyResult<&'a [u8]> {
        let end = self.at.checked_add(size).filter(|end| *end <= self.bytes.len());
        let end =
            end.ok_or_else(|| PyTypeError::new_err("a value that was received is cut short"))?;
        let part = &self.bytes[self.at..end];
        self.at = end;
        Ok(part)
    }

    fn number<const N: usize>(&mut self) -> PyResult<[u8; N]> {
        let mut number = [0; N];
        number.copy_from_slice(self.take(N)?);
        Ok(number)
    }

    fn size(&mut self, width: usize) -> PyResult<usize> {
        Ok(self.take(width)?.iter().fold(0, |size, byte| size << 8 | usize::from(*byte)))
    }

    fn value<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let marker = Marker::from_u8(self.take(1)?[0]);
        Ok(match marker {
            Marker::Null => py.None().into_bound(py),
            Marker::True => PyBool::new(py, true).to_owned().into_any(),
            Marker::False => PyBool::new(py, false).to_owned().into_any(),
            Marker::FixPos(number) => number.into_pyobject(py)?.into_any(),
            Marker::FixNeg(number) => number.into_pyobject(py)?.into_any(),
            Marker::U8 => u8::from_be_bytes(self.number()?).into_pyobject(py)?.into_any(),
            Marker::U16 => u16::from_be_bytes(self.number()?).into_pyobject(py)?.into_any(),
            Marker::U32 => u32::from_be_bytes(self.number()?).into_pyobject(py)?.into_any(),
            Marker::U64 => u64::from_be_bytes(self.number()?).into_pyobject(py)?.into_any(),
            Marker::I8 => i8::from_be_bytes(self.number()?).into_pyobject(py)?.into_any(),
            Marker::I16 => i16::from_be_bytes(self.number()?).into_pyobject(py)?.into_any(),
            Marker::I32 => i32::from_be_bytes(self.number()?).into_pyobject(py)?.into_any(),
            Marker::I64 => i64::from_be_bytes(self.number()?).into_pyobject(py)?.into_any(),
            Marker::F32 => {
                PyFloat::new(py, f64::from(f32::from_be_bytes(self.number()?))).into_any()
            }
            Marker::F64 => PyFloat::new(py, f64::from_be_bytes(self.number()?)).into_any(),
            Marker::FixStr(size) => self.text(py, usize::from(size))?,
            Marker::Str8 => self.sized(py, 1, Self::text)?,
            Marker::Str16 => self.sized(py, 2, Self::text)?,
            Marker::Str32 => self.sized(py, 4, Self::text)?,
            Marker::Bin8 => self.sized(py, 1, Self::data)?,
            Marker::Bin16 => self.sized(py, 2, Self::data)?,
            Marker::Bin32 => self.sized(py, 4, Self::data)?,
            Marker::FixArray(size) => self.list(py, usize::from(size))?,
            Marker::Array16 => self.sized(py, 2, Self::list)?,
            Marker::Array32 => self.sized(py, 4, Self::list)?,
            Marker::FixMap(size) => self.map(py, usize::from(size))?,
            Marker::Map16 => self.sized(py, 2, Self::map)?,
            Marker::Map32 => self.sized(py, 4, Self::map)?,
            _ => return Err(PyTypeError::new_err("a value that was received is of no known type")),
        })
    }

    fn sized<'py>(
        &mut self,
        py: Python<'py>,
        width: usize,
        read: impl FnOnce(&mut Self, Python<'py>, usize) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let size = self.size(width)?;
        read(self, py, size)
    }

    fn text<'py>(&mut self, py: Python<'py>, size: usize) -> PyResult<Bound<'py, PyAny>> {
        let text = self.take(size)?;
        if std::str::from_utf8(text).is_err() {
            return Err(PyTypeError::new_err("a text that was received is not UTF-8"));
        }
        // Without memory this raises, where `PyString::new` panics.
        Ok(PyString::from_bytes(py, text)?.into_any())
    }

    fn data<'py>(&mut self, py: Python<'py>, size: usize) -> PyResult<Bound<'py, PyAny>> {
        Ok(bytes(py, self.take(size)?)?.into_any())
    }

    fn list<'py>(&mut self, py: Python<'py>, size: usize) -> PyResult<Bound<'py, PyAny>> {
        let list = PyList::empty(py);
        for _ in 0..size {
            list.append(self.value(py)?)?;
        }
        Ok(list.into_any())
    }

    fn map<'py>(&mut self, py: Python<'py>, size: usize) -> PyResult<Bound<'py, PyAny>> {
        let map = PyDict::new(py);
        for _ in 0..size {
            let key = self.value(py)?;
            map.set_item(key, self.value(py)?)?;
        }
        Ok(map.into_any())
    }
}
