//! `system[T]` and `system.get(T)`: one dictionary read, without a frame of Python's and without one of the binding's.
//!
//! Python's `System` is a class upon this one. Not upon `dict`: a subclass of that looks for its own `__getitem__` at
//! each subscript, which takes as long again as the read. Not a class of the binding either: what that does around each
//! call (count, catch, convert) takes longer than the read.
//!
//! Nothing here can panic: a panic would end the process.
#![expect(
    unsafe_code,
    reason = "the interpreter's own table of functions is filled by hand, for a read in 30 ns"
)]

use std::ffi::{c_int, c_ulong, c_void};
use std::mem::offset_of;
use std::ptr;

use pyo3::ffi;
use pyo3::prelude::*;

/// The objects that were asked for, by their types. What is not among them is asked of `_look_up(key[, default])`.
#[repr(C)]
struct Lookup {
    head: ffi::PyObject,
    /// A dictionary, from `__new__` until the object is freed.
    found: *mut ffi::PyObject,
}

/// Makes the type and puts it into the module.
///
/// # Errors
/// The interpreter refuses it, for want of memory.
pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // The interpreter keeps pointers to these two for as long as the type lives, which is as long as the process.
    let methods = Box::leak(Box::new([
        ffi::PyMethodDef {
            ml_name: c"get".as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunctionFast: get },
            ml_flags: ffi::METH_FASTCALL,
            ml_doc: c"get($self, key, default=..., /)\n--\n\nThe object that was registered for a type, or the default."
                .as_ptr(),
        },
        ffi::PyMethodDef::zeroed(),
    ]));
    let members = Box::leak(Box::new([
        ffi::PyMemberDef {
            name: c"_found".as_ptr(),
            type_code: ffi::Py_T_OBJECT_EX,
            offset: offset_of!(Lookup, found).cast_signed(),
            flags: ffi::Py_READONLY,
            doc: c"Those that were found so far; what is changed here is changed for good."
                .as_ptr(),
        },
        ffi::PyMemberDef::default(),
    ]));
    let doc = c"The objects of a running system that were asked for, by their types.";
    let mut slots = [
        slot(ffi::Py_tp_doc, doc.as_ptr().cast_mut().cast()),
        slot(ffi::Py_tp_new, new as ffi::newfunc as *mut c_void),
        slot(ffi::Py_tp_dealloc, free as ffi::destructor as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as ffi::traverseproc as *mut c_void),
        slot(ffi::Py_mp_subscript, subscript as ffi::binaryfunc as *mut c_void),
        slot(ffi::Py_tp_methods, methods.as_mut_ptr().cast()),
        slot(ffi::Py_tp_members, members.as_mut_ptr().cast()),
        slot(0, ptr::null_mut()),
    ];
    let mut spec = ffi::PyType_Spec {
        name: c"symphony._core.Lookup".as_ptr(),
        basicsize: c_int::try_from(size_of::<Lookup>())?,
        itemsize: 0,
        flags: u32::try_from(FLAGS)?,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the slots end with a zero; each function has the signature that its slot asks for; methods and members
    // end with an empty entry and are never freed. The result is a new reference or null with an exception.
    let class =
        unsafe { Bound::from_owned_ptr_or_err(module.py(), ffi::PyType_FromSpec(&raw mut spec))? };
    module.add("Lookup", class)
}

const FLAGS: c_ulong = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_BASETYPE | ffi::Py_TPFLAGS_HAVE_GC;

const fn slot(slot: c_int, pfunc: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot, pfunc }
}

/// Takes what its subclass takes.
unsafe extern "C" fn new(
    class: *mut ffi::PyTypeObject,
    _arguments: *mut ffi::PyObject,
    _named: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls this with a type upon ours, whose instances begin with `Lookup`, zeroed by
    // `tp_alloc`; an instance without a dictionary is given back before anybody sees it. What `object` makes has its
    // attributes inside from 3.11 on, without which a method of it is found in twice the time; 3.9 does not tell that
    // function and has no such attributes.
    unsafe {
        let make = ffi::PyType_GetSlot(&raw mut ffi::PyBaseObject_Type, ffi::Py_tp_new);
        let this = if make.is_null() {
            ffi::PyErr_Clear();
            let allocate = ffi::PyType_GetSlot(class, ffi::Py_tp_alloc);
            let allocate: ffi::allocfunc = std::mem::transmute(allocate);
            allocate(class, 0)
        } else {
            let nothing = ffi::PyTuple_New(0);
            if nothing.is_null() {
                return nothing;
            }
            let make: ffi::newfunc = std::mem::transmute(make);
            let this = make(class, nothing, ptr::null_mut());
            ffi::Py_DECREF(nothing);
            this
        };
        if this.is_null() {
            return this;
        }
        let found = ffi::PyDict_New();
        if found.is_null() {
            ffi::Py_DECREF(this);
            return found;
        }
        (*this.cast::<Lookup>()).found = found;
        this
    }
}

/// There is no `tp_clear`: a circle through the dictionary is broken by the dictionary's own.
unsafe extern "C" fn traverse(
    this: *mut ffi::PyObject,
    visit: ffi::visitproc,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: `this` is a `Lookup`, whose dictionary is null only before `new` has made it.
    unsafe {
        let found = (*this.cast::<Lookup>()).found;
        if !found.is_null() {
            let answer = visit(found, argument);
            if answer != 0 {
                return answer;
            }
        }
        visit(ffi::Py_TYPE(this).cast(), argument)
    }
}

unsafe extern "C" fn free(this: *mut ffi::PyObject) {
    // SAFETY: called once, with the last reference gone; an instance of a heap type owns a reference to its type.
    unsafe {
        ffi::PyObject_GC_UnTrack(this.cast());
        ffi::Py_XDECREF((*this.cast::<Lookup>()).found);
        let class = ffi::Py_TYPE(this);
        let release = ffi::PyType_GetSlot(class, ffi::Py_tp_free);
        let release: ffi::freefunc = std::mem::transmute(release);
        release(this.cast());
        ffi::Py_DECREF(class.cast());
    }
}

/// `system[T]`.
unsafe extern "C" fn subscript(
    this: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls this with a `Lookup` and an object, both alive for as long as it runs.
    unsafe { read(this, key, ptr::null_mut()) }
}

/// `system.get(T)` and `system.get(T, default)`.
unsafe extern "C" fn get(
    this: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: a method's descriptor has looked at the type of `this`; `arguments` has `count` objects, alive for as
    // long as the call.
    unsafe {
        match count {
            1 => read(this, *arguments, ptr::null_mut()),
            2 => read(this, *arguments, *arguments.add(1)),
            _ => {
                let text = c"get() takes a type and at most a default, both by position";
                ffi::PyErr_SetString(ffi::PyExc_TypeError, text.as_ptr());
                ptr::null_mut()
            }
        }
    }
}

/// What is in the dictionary, else what `_look_up` says; a null `default` is none.
///
/// # Safety
/// `this` is a `Lookup`, `key` an object, `default` one or null, and the thread is attached to the interpreter.
unsafe fn read(
    this: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
    default: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as the caller promises. What the dictionary lends is counted before anything else can run.
    unsafe {
        let value = ffi::PyDict_GetItemWithError((*this.cast::<Lookup>()).found, key);
        if !value.is_null() {
            ffi::Py_INCREF(value);
            return value;
        }
        if !ffi::PyErr_Occurred().is_null() {
            return ptr::null_mut();
        }
        let look_up = ffi::PyObject_GetAttrString(this, c"_look_up".as_ptr());
        if look_up.is_null() {
            return look_up;
        }
        let nothing: *mut ffi::PyObject = ptr::null_mut();
        // A null default ends the arguments as the null behind it does.
        let answer = ffi::PyObject_CallFunctionObjArgs(look_up, key, default, nothing);
        ffi::Py_DECREF(look_up);
        answer
    }
}
