//! Real libraries: C ones compiled here with `cc` against the header that ships, and a Rust one made with the macro.

use std::fs;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use component::{Code, Hint};
use pit::PitError;
use pit::library::{LoadOptions, PitBuffer, PitEntryV1, PitHost, PitLibrary, PitLog, PitText};
use sha2::{Digest, Sha256};

/// A whole library in C; the macros before it bend one thing each.
const SOURCE: &str = r#"
#include <stdlib.h>
#include <string.h>
#include "symphony_pit.h"
#ifndef MAJOR
#define MAJOR SYMPHONY_PIT_ABI_MAJOR
#endif
#ifndef MINOR
#define MINOR SYMPHONY_PIT_ABI_MINOR
#endif
#ifndef SIZE
#define SIZE sizeof(symphony_pit_entry)
#endif
#ifndef CALL
#define CALL call
#endif
#ifndef NAME
#define NAME symphony_pit_entry_v1
#endif
#define TEXT(words) { (const uint8_t *)(words), sizeof(words) - 1 }

static const symphony_pit_log *logger;
static long buffers, instances;

static int32_t give(symphony_pit_buffer *out, const void *data, uint64_t length, int32_t status) {
    out->owner = malloc(length + 1);
    memcpy(out->owner, data, length);
    out->data = out->owner;
    out->length = length;
    __atomic_add_fetch(&buffers, 1, __ATOMIC_SEQ_CST);
    return status;
}

static int32_t init(const symphony_pit_host *host, void **instance, symphony_pit_buffer *error) {
#ifdef FAIL
    return give(error, "no device", 9, SYMPHONY_PIT_ERROR);
#endif
    (void)error;
    symphony_pit_text log = TEXT("symphony.log.v1"), unknown = TEXT("symphony.none.v9");
    if (host->struct_size < sizeof *host || host->service(unknown) != NULL) return 1;
    logger = host->service(log);
    symphony_pit_text line = TEXT("hello from C");
    if (logger == NULL) return 1;
    logger->line(3, line);
    *instance = malloc(1);
    instances++;
    return SYMPHONY_PIT_OK;
}

static int is(symphony_pit_text text, const char *word) {
    return text.length == strlen(word) && memcmp(text.data, word, text.length) == 0;
}

static int32_t call(void *instance, symphony_pit_text operation, symphony_pit_text input,
                    symphony_pit_buffer *output) {
    if (instance == NULL) return 42;
    if (is(operation, "upper")) {
        int32_t status = give(output, input.data, input.length, SYMPHONY_PIT_OK);
        for (uint64_t at = 0; at < output->length; at++)
            if (output->data[at] >= 'a' && output->data[at] <= 'z') output->data[at] -= 32;
        return status;
    }
    if (is(operation, "nothing")) return SYMPHONY_PIT_OK;
    if (is(operation, "buffers")) {
        uint64_t left = (uint64_t)buffers;
        return give(output, &left, sizeof left, SYMPHONY_PIT_OK);
    }
    if (is(operation, "refuse")) return give(output, "not today", 9, SYMPHONY_PIT_ERROR);
    if (is(operation, "lie")) { output->length = UINT64_MAX; return SYMPHONY_PIT_OK; }
    return SYMPHONY_PIT_UNKNOWN_OPERATION;
}

static void free_buffer(symphony_pit_buffer *buffer) {
    free(buffer->owner);
    __atomic_sub_fetch(&buffers, 1, __ATOMIC_SEQ_CST);
}

static void stop(void *instance) { free(instance); }

static const symphony_pit_text operations[] = { TEXT("upper"), TEXT("nothing"), TEXT("refuse") };

const symphony_pit_entry NAME = {
    SIZE, MAJOR, MINOR, TEXT("upper"), TEXT("1.2.3"), operations, 3, init, CALL, free_buffer, stop,
};
"#;

fn compiled(folder: &Path, name: &str, defines: &[&str]) -> PathBuf {
    let (source, library) = (folder.join("library.c"), folder.join(format!("lib{name}.so")));
    fs::write(&source, SOURCE).expect("a source");
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let output = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-Wno-unused"])
        .args(defines.iter().map(|define| format!("-D{define}")))
        .arg("-I")
        .args([&header, &source])
        .arg("-o")
        .arg(&library)
        .output()
        .expect("a C compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}

fn load(path: &Path) -> Result<PitLibrary, PitError> {
    PitLibrary::load(path, &LoadOptions::default())
}

/// The error's text without the path, which is another each time.
fn reason(error: &PitError) -> &str {
    match error {
        PitError::Abi { reason, .. } | PitError::Library { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_c_library_answers_and_gets_its_buffers_back() {
    let folder = tempfile::tempdir().unwrap();
    let library = load(&compiled(folder.path(), "upper", &[])).unwrap();
    assert_eq!((library.name(), library.version()), ("upper", "1.2.3"));
    assert_eq!(library.operations(), ["upper", "nothing", "refuse"]);
    assert_eq!(library.call("upper", b"shout").unwrap(), b"SHOUT");
    assert_eq!(library.call("upper", b"").unwrap(), b"");
    assert_eq!(library.call("nothing", b"x").unwrap(), b"");
    let error = library.call("refuse", b"").unwrap_err();
    assert_eq!(reason(&error), "`refuse` returned 1: not today");
    assert_eq!(error.code(), Code::PIT_LIBRARY);
    let error = library.call("sing", b"").unwrap_err();
    assert_eq!(error.to_string(), "there is no operation `upper.sing`");
    let error = library.call("lie", b"").unwrap_err();
    assert!(reason(&error).contains("impossible buffer"));
    assert_eq!(library.call("buffers", b"").unwrap(), 0u64.to_ne_bytes(), "all were given back");
}

#[test]
fn many_threads_call_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let library = Arc::new(load(&compiled(folder.path(), "threads", &[])).unwrap());
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let library = Arc::clone(&library);
            thread::spawn(move || {
                for turn in 0..2_000 {
                    let text = format!("worker {number} turn {turn}");
                    let upper = library.call("upper", text.as_bytes()).unwrap();
                    assert_eq!(upper, text.to_uppercase().into_bytes());
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(library.call("buffers", b"").unwrap(), 0u64.to_ne_bytes());
}

#[test]
fn what_was_built_for_another_interface_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refusals = [
        ("major", "MAJOR=2", "it was built for interface version 2, this is version 1"),
        ("zero", "MAJOR=0", "it was built for interface version 0, this is version 1"),
        ("minor", "MINOR=7", "it needs interface 1.7, this host offers 1.0"),
        ("short", "SIZE=64", "its table has 64 bytes, version 1.0 has 88"),
        ("null", "CALL=0", "a function of its table is null"),
    ];
    for (name, define, expected) in refusals {
        let error = load(&compiled(folder.path(), name, &[define])).unwrap_err();
        assert_eq!(error.code(), Code::ABI_MISMATCH);
        assert_eq!(reason(&error), expected);
    }
    // A newer library with a longer table, that needs nothing new of the host, is welcome.
    let longer = load(&compiled(folder.path(), "longer", &["SIZE=4096"])).unwrap();
    assert_eq!(longer.call("upper", b"a").unwrap(), b"A");
}

#[test]
fn what_is_no_pit_library_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = load(&compiled(folder.path(), "other", &["NAME=another_entry"])).unwrap_err();
    assert_eq!(reason(&other), "it does not export `symphony_pit_entry_v1`");
    let text = folder.path().join("text.so");
    fs::write(&text, "no library").unwrap();
    assert_eq!(reason(&load(&text).unwrap_err()), "it is no shared library");
    let missing = load(&folder.path().join("missing.so")).unwrap_err();
    assert!(matches!(missing, PitError::Io { .. }));
    let failing = load(&compiled(folder.path(), "failing", &["FAIL"])).unwrap_err();
    assert_eq!(reason(&failing), "its start returned 1: no device");
}

#[test]
fn a_pinned_hash_is_checked_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    // This one would end the process if a single function of it ran.
    let path = compiled(folder.path(), "crash", &["CRASH"]);
    let pinned = |sha256: String| LoadOptions { sha256: Some(sha256), ..LoadOptions::default() };
    let error = PitLibrary::load(&path, &pinned("0".repeat(64))).unwrap_err();
    assert!(reason(&error).starts_with("its SHA-256 is `"), "{error}");
    let good = compiled(folder.path(), "good", &[]);
    let hash = format!("{:x}", Sha256::digest(fs::read(&good).unwrap()));
    let library = PitLibrary::load(&good, &pinned(hash.to_uppercase())).unwrap();
    assert_eq!(library.sha256(), hash);
}

#[test]
fn an_update_of_the_same_file_is_a_new_library_beside_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = compiled(folder.path(), "update", &[]);
    let old = load(&path).unwrap();
    let newer = SOURCE.replace("1.2.3", "1.3.0");
    fs::write(folder.path().join("library.c"), newer).unwrap();
    let again = folder.path().join("again.so");
    let header = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/include");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", header])
        .arg(folder.path().join("library.c"))
        .arg("-o")
        .arg(&again)
        .status();
    assert!(built.unwrap().success());
    // Written over in place, as a careless installer does: what is loaded lives in its own memory.
    fs::write(&path, fs::read(&again).unwrap()).unwrap();
    let new = load(&path).unwrap();
    assert_eq!((old.version(), new.version()), ("1.2.3", "1.3.0"));
    assert_eq!(old.call("upper", b"old").unwrap(), b"OLD");
    drop(old);
    assert_eq!(new.call("upper", b"new").unwrap(), b"NEW");
}

/// The example that cargo builds beside the tests.
fn counter() -> PathBuf {
    let tests = std::env::current_exe().expect("a path");
    let profile = tests.parent().and_then(Path::parent).expect("target/PROFILE");
    profile.join("examples/libcounter_library.so")
}

#[test]
fn a_rust_library_made_with_the_macro_answers() {
    let library = load(&counter()).unwrap();
    assert_eq!((library.name(), library.version()), ("counter", env!("CARGO_PKG_VERSION")));
    assert_eq!(library.operations(), ["echo", "count", "refuse", "panic"]);
    let large = vec![7; 3 << 20];
    assert_eq!(library.call("echo", &large).unwrap(), large);
    assert_eq!(library.call("echo", b"").unwrap(), b"");
    assert_eq!(library.call("count", b"four").unwrap(), b"4");
    assert_eq!(library.call("count", b"two").unwrap(), b"7");
    assert_eq!(reason(&library.call("refuse", b"").unwrap_err()), "`refuse` returned 1: not today");
    let unknown = library.call("sing", b"").unwrap_err();
    assert_eq!(unknown.to_string(), "there is no operation `counter.sing`");
    // A second instance has a state of its own.
    assert_eq!(load(&counter()).unwrap().call("count", b"1").unwrap(), b"1");
    drop(library);
}

#[test]
fn a_panic_inside_a_library_becomes_an_error_and_the_library_goes_on() {
    let library = load(&counter()).unwrap();
    for _ in 0..3 {
        let error = library.call("panic", b"xy").unwrap_err();
        assert_eq!(reason(&error), "`panic` panicked: a bug in the library: 2");
    }
    assert_eq!(library.call("echo", b"still here").unwrap(), b"still here");
}

/// The header and the Rust table are two texts of one thing: sizes and offsets must agree.
#[test]
fn header_and_table_have_the_same_layout() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("layout.c");
    let fields = [
        "struct_size",
        "abi_minor",
        "name",
        "version",
        "operations",
        "operation_count",
        "init",
        "call",
        "free_buffer",
        "stop",
    ];
    let prints: String = fields
        .iter()
        .map(|field| format!("printf(\"%zu \", offsetof(symphony_pit_entry, {field}));"))
        .chain(
            ["entry", "host", "log", "text", "buffer"]
                .map(|name| format!("printf(\"%zu \", sizeof(symphony_pit_{name}));")),
        )
        .collect();
    let text = format!(
        "#include <stddef.h>\n#include <stdio.h>\n#include \"symphony_pit.h\"\nint main(void) {{ {prints} return 0; }}"
    );
    fs::write(&source, text).unwrap();
    let program = folder.path().join("layout");
    let header = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/include");
    let built = Command::new("cc").arg(header).arg(&source).arg("-o").arg(&program).status();
    assert!(built.unwrap().success());
    let output = Command::new(&program).output().unwrap().stdout;
    let found: Vec<usize> = String::from_utf8(output)
        .unwrap()
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect();
    let expected = [
        offset_of!(PitEntryV1, struct_size),
        offset_of!(PitEntryV1, abi_minor),
        offset_of!(PitEntryV1, name),
        offset_of!(PitEntryV1, version),
        offset_of!(PitEntryV1, operations),
        offset_of!(PitEntryV1, operation_count),
        offset_of!(PitEntryV1, init),
        offset_of!(PitEntryV1, call),
        offset_of!(PitEntryV1, free_buffer),
        offset_of!(PitEntryV1, stop),
        size_of::<PitEntryV1>(),
        size_of::<PitHost>(),
        size_of::<PitLog>(),
        size_of::<PitText>(),
        size_of::<PitBuffer>(),
    ];
    assert_eq!(found, expected);
}
