//! Libraries that do not fit, are damaged, are swapped while they are loaded, or panic; and the suite that the examples in C
//! and in Rust pass alike.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pit::PitError;
use pit::library::{LoadOptions, PitLibrary};
use sha2::{Digest, Sha256};

/// Says in a file that some code of it ran.
const SOURCE: &str = r#"
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>
#include "symphony_pit.h"
#define TEXT(words) { (const uint8_t *)(words), sizeof(words) - 1 }
__attribute__((constructor)) static void ran(void) { close(open(RAN, O_CREAT | O_WRONLY, 0600)); }
static int32_t init(const symphony_pit_host *host, void **instance, symphony_pit_buffer *error) {
    (void)host, (void)instance, (void)error;
    return SYMPHONY_PIT_OK;
}
static int32_t call(void *instance, symphony_pit_text operation, symphony_pit_text input,
                    symphony_pit_buffer *output) {
    (void)instance, (void)operation, (void)input, (void)output;
    return SYMPHONY_PIT_OK;
}
static void free_buffer(symphony_pit_buffer *buffer) { (void)buffer; }
static void stop(void *instance) { (void)instance; }
static const symphony_pit_text operations[] = { TEXT("nothing") };
const symphony_pit_entry symphony_pit_entry_v1 = {
    SIZE, MAJOR, MINOR, TEXT("matrix"), TEXT(VERSION), operations, 1, init, call, free_buffer, stop,
};
"#;

/// What one library is built with.
struct Built<'a> {
    version: &'a str,
    size: &'a str,
    major: u16,
    minor: u16,
}

const LAWFUL: Built<'static> =
    Built { version: "1", size: "sizeof(symphony_pit_entry)", major: 1, minor: 0 };

/// A compiled library, and the file that says that something of it ran.
fn build(folder: &Path, name: &str, built: &Built<'_>) -> (PathBuf, PathBuf) {
    let (library, ran) = (folder.join(format!("{name}.so")), folder.join(format!("ran-{name}")));
    let source = folder.join("library.c");
    fs::write(&source, SOURCE).unwrap();
    let defines = [
        format!("-DRAN=\"{}\"", ran.display()),
        format!("-DVERSION=\"{}\"", built.version),
        format!("-DSIZE={}", built.size),
        format!("-DMAJOR={}", built.major),
        format!("-DMINOR={}", built.minor),
    ];
    compile(&source, &library, &defines);
    (library, ran)
}

fn compile(source: &Path, library: &Path, more: &[String]) {
    let header = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/include");
    let output = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", header])
        .args(more)
        .arg(source)
        .arg("-o")
        .arg(library)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.parent().and_then(Path::parent).unwrap();
    profile.join(format!("examples/lib{name}.so"))
}

fn load(path: &Path) -> Result<PitLibrary, PitError> {
    PitLibrary::load(path, &LoadOptions::default())
}

fn pinned(sha256: &str) -> LoadOptions {
    LoadOptions { sha256: Some(sha256.to_owned()), ..LoadOptions::default() }
}

fn hash_of(path: &Path) -> String {
    format!("{:x}", Sha256::digest(fs::read(path).unwrap()))
}

/// The error's text without the path, which is another each time.
fn reason(error: &PitError) -> &str {
    match error {
        PitError::Abi { reason, .. } | PitError::Library { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn versions_and_sizes_that_fit_are_loaded_and_all_others_refused() {
    let folder = tempfile::tempdir().unwrap();
    let size = LAWFUL.size;
    let rows = [
        ("same", 1, 0, size, None),
        ("longer-table", 1, 0, "4096", None),
        ("newer-minor", 1, 1, size, Some("it needs interface 1.1, this host offers 1.0")),
        ("newest-minor", 1, u16::MAX, "4096", Some("it needs interface 1.65535")),
        ("older-major", 0, 0, size, Some("it was built for interface version 0")),
        ("newer-major", 2, 0, size, Some("it was built for interface version 2")),
        ("newest-major", u16::MAX, 0, size, Some("it was built for interface version 65535")),
        ("short-table", 1, 0, "87", Some("its table has 87 bytes, version 1.0 has 88")),
        ("no-table", 1, 0, "0", Some("its table has 0 bytes, version 1.0 has 88")),
    ];
    for (name, major, minor, size, expected) in rows {
        let (path, _) = build(folder.path(), name, &Built { size, major, minor, ..LAWFUL });
        match (load(&path), expected) {
            (Ok(library), None) => assert_eq!(library.call("nothing", b"").unwrap(), b""),
            (Err(error), Some(expected)) => {
                assert!(reason(&error).starts_with(expected), "{name}: {error}");
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

#[test]
fn what_was_built_for_another_machine_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ran) = build(folder.path(), "whole", &LAWFUL);
    let whole = fs::read(&path).unwrap();
    let other: (u16, &str) = if cfg!(target_arch = "aarch64") {
        (62, "it was built for x86_64")
    } else {
        (183, "it was built for aarch64")
    };
    let kind = "it was built for another kind of machine";
    let program = "it is a program or an object file";
    let bent: [(usize, Vec<u8>, &str); 7] = [
        (18, other.0.to_ne_bytes().to_vec(), other.1),
        (18, 0x1234_u16.to_ne_bytes().to_vec(), "it was built for machine 4660"),
        (4, vec![1], kind),
        (5, vec![3 - whole[5]], kind),
        (16, 1_u16.to_ne_bytes().to_vec(), program),
        (16, 2_u16.to_ne_bytes().to_vec(), program),
        (0, vec![b'M'], "it is no shared library"),
    ];
    for (at, bytes, expected) in bent {
        let mut copy = whole.clone();
        copy[at..at + bytes.len()].copy_from_slice(&bytes);
        let path = folder.path().join("bent.so");
        fs::write(&path, copy).unwrap();
        let error = load(&path).unwrap_err();
        assert!(reason(&error).starts_with(expected), "{error}");
    }
    assert!(!ran.exists(), "nothing of it ran");
}

/// The linker would map what is not there, and the process would die where that is touched.
#[test]
fn what_was_cut_short_is_refused_wherever_it_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = build(folder.path(), "whole", &LAWFUL);
    let whole = fs::read(&path).unwrap();
    let cut = folder.path().join("cut.so");
    let mut loaded = 0;
    for length in (0..80).chain((80..whole.len()).step_by(97)) {
        fs::write(&cut, &whole[..length]).unwrap();
        match load(&cut) {
            // What was cut off is for debuggers alone.
            Ok(library) => {
                assert_eq!(library.call("nothing", b"").unwrap(), b"");
                loaded += 1;
            }
            Err(error) => {
                let told = ["it was cut short", "it is no shared library", "the linker refused it"];
                assert!(told.iter().any(|told| reason(&error).starts_with(told)), "{error}");
            }
        }
    }
    assert!(loaded < whole.len() / 97 / 2, "{loaded} of them were loaded");
    // A segment that says that it goes beyond the end of all numbers.
    let mut bent = whole.clone();
    let headers = usize::try_from(u64::from_ne_bytes(whole[32..40].try_into().unwrap())).unwrap();
    bent[headers + 32..headers + 40].copy_from_slice(&u64::MAX.to_ne_bytes());
    fs::write(&cut, bent).unwrap();
    assert!(reason(&load(&cut).unwrap_err()).starts_with("it was cut short"));
}

#[test]
fn one_flipped_bit_anywhere_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ran) = build(folder.path(), "whole", &LAWFUL);
    let (whole, hash) = (fs::read(&path).unwrap(), hash_of(&path));
    for at in (0..whole.len()).step_by(101) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, flipped).unwrap();
        let error = PitLibrary::load(&path, &pinned(&hash)).unwrap_err();
        assert!(reason(&error).starts_with("its SHA-256 is"), "byte {at}: {error}");
    }
    assert!(!ran.exists());
    fs::write(&path, whole).unwrap();
    PitLibrary::load(&path, &pinned(&hash)).unwrap();
    assert!(ran.exists());
}

#[test]
fn what_is_loaded_is_what_was_checked_although_the_file_is_swapped_all_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let (good, _) = build(folder.path(), "good", &LAWFUL);
    let (evil, ran) = build(folder.path(), "evil", &Built { version: "evil", ..LAWFUL });
    let hash = hash_of(&good);
    let (path, ended) = (folder.path().join("installed.so"), AtomicBool::new(false));
    fs::copy(&good, &path).unwrap();
    let (mut loaded, mut refused) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let next = folder.path().join("next.so");
            while !ended.load(Ordering::Relaxed) {
                for from in [&evil, &good] {
                    // By another file of that name, and by other bytes in the same file.
                    fs::copy(from, &next).unwrap();
                    fs::rename(&next, &path).unwrap();
                    fs::write(&path, fs::read(from).unwrap()).unwrap();
                }
            }
        });
        for _ in 0..200 {
            match PitLibrary::load(&path, &pinned(&hash)) {
                Ok(library) => {
                    assert_eq!(library.version(), "1");
                    loaded += 1;
                }
                Err(error) => {
                    assert!(reason(&error).starts_with("its SHA-256 is"), "{error}");
                    refused += 1;
                }
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
    assert!(!ran.exists(), "something ran that was not pinned");
    assert_eq!(loaded + refused, 200);
}

#[test]
fn a_panic_in_any_function_of_a_library_ends_that_call_alone() {
    let start = load(&example("panicking_start_library")).unwrap_err();
    assert_eq!(reason(&start), "its start returned 3: no text");
    let library = load(&example("panicking_library")).unwrap();
    for round in 0..3 {
        let error = library.call("panic", b"four").unwrap_err();
        assert_eq!(reason(&error), "`panic` panicked: 4 bytes");
        let error = library.call("bomb", b"").unwrap_err();
        assert_eq!(reason(&error), "`bomb` panicked: no text");
        assert_eq!(library.call("echo", &[round]).unwrap(), [round]);
    }
    drop(library);
    assert_eq!(load(&example("panicking_library")).unwrap().call("echo", b"x").unwrap(), b"x");
}

/// What every library named `counter` has to do, in whatever language it is written.
fn conforms(path: &Path) {
    let library = load(path).unwrap();
    assert_eq!(library.name(), "counter");
    assert!(!library.version().is_empty());
    for operation in ["echo", "count", "refuse"] {
        assert!(library.operations().iter().any(|known| known == operation), "{operation}");
    }
    for length in [0, 1, 4096, 3 << 20] {
        let input: Vec<u8> = (0..length).map(|place: usize| place.to_le_bytes()[0]).collect();
        assert_eq!(library.call("echo", &input).unwrap(), input);
    }
    assert_eq!(library.call("count", b"four").unwrap(), b"4");
    let refused = library.call("refuse", b"").unwrap_err();
    assert_eq!(reason(&refused), "`refuse` returned 1: not today");
    // A name is all of its bytes.
    for unknown in ["", "ech", "echo ", "echo\0", "ECHO"] {
        let error = library.call(unknown, b"x").unwrap_err();
        assert!(matches!(error, PitError::NotFound { .. }), "{unknown:?}: {error}");
    }
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..500 {
                    library.call("count", b"x").unwrap();
                    assert_eq!(library.call("echo", b"mine").unwrap(), b"mine");
                }
            });
        }
    });
    assert_eq!(library.call("count", b"").unwrap(), b"4004");
    let second = load(path).unwrap();
    assert_eq!(second.call("count", b"1").unwrap(), b"1");
    drop(library);
    assert_eq!(second.call("count", b"1").unwrap(), b"2");
}

#[test]
fn the_examples_in_c_and_in_rust_conform() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/counter_library.c");
    let library = folder.path().join("libcounter.so");
    compile(&source, &library, &[]);
    conforms(&library);
    conforms(&example("counter_library"));
}
