//! Starts of libraries that do not come back: their own crash counts, and only in a row; what is done to the process from
//! outside does not. Each start runs in a process of its own, which is this program again.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use component::{Code, Hint};
use pit::library::{LoadOptions, PitLibrary};
use pit::{PitError, PitResult};

/// A library whose `init` does what the file `do-NAME` beside it says.
const SOURCE: &str = r#"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "symphony_pit.h"
#define TEXT(words) { (const uint8_t *)(words), sizeof(words) - 1 }

static volatile int *nowhere;
static int deep(volatile char *above) {
    volatile char here[4096];
    here[0] = above ? above[0] : 1;
    return deep(here) + here[0];
}
static void recover(int signal) { (void)signal; _exit(7); }

static int32_t init(const symphony_pit_host *host, void **instance, symphony_pit_buffer *error) {
    (void)host, (void)instance, (void)error;
    char what[32] = "";
    FILE *file = fopen(FOLDER "/do-" NAME, "r");
    if (file) {
        if (!fgets(what, sizeof what, file)) what[0] = 0;
        fclose(file);
    }
    file = fopen(FOLDER "/began-" NAME, "w");
    if (file) fclose(file);
    if (!strcmp(what, "abort")) abort();
    if (!strcmp(what, "fault")) *nowhere = 1;
    if (!strcmp(what, "later")) {
        while (access(FOLDER "/began-innocent", F_OK)) usleep(1000);
        *nowhere = 1;
    }
    if (!strcmp(what, "deep")) return deep(NULL);
    if (!strcmp(what, "raise")) raise(SIGILL);
    if (!strcmp(what, "exit")) exit(3);
    if (!strcmp(what, "blocked")) {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, NULL);
        abort();
    }
    if (!strcmp(what, "handler")) {
        signal(SIGSEGV, recover);
        *nowhere = 1;
    }
    if (!strcmp(what, "refuse")) return SYMPHONY_PIT_ERROR;
    if (!strcmp(what, "killed")) {
        long thread = syscall(SYS_gettid);
        if (fork() == 0) {
            syscall(SYS_tgkill, getppid(), thread, SIGABRT);
            _exit(0);
        }
        sleep(60);
    }
    if (!strcmp(what, "slow")) sleep(60);
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
    sizeof(symphony_pit_entry), SYMPHONY_PIT_ABI_MAJOR, SYMPHONY_PIT_ABI_MINOR, TEXT(NAME),
    TEXT("1"), operations, 1, init, call, free_buffer, stop,
};
"#;

const LIBRARY: &str = "PIT_TEST_LIBRARIES";

/// A folder with libraries and the marks of their starts.
struct Place(tempfile::TempDir);

impl Place {
    fn new(libraries: &[&str]) -> Self {
        let place = Self(tempfile::tempdir().expect("a process and its files"));
        let folder = place.0.path();
        let source = folder.join("library.c");
        fs::write(&source, SOURCE).expect("a process and its files");
        for name in libraries {
            let built = Command::new("cc")
                .args(["-shared", "-fPIC", "-O0"])
                .arg(format!("-DFOLDER=\"{}\"", folder.display()))
                .arg(format!("-DNAME=\"{name}\""))
                .arg(concat!("-I", env!("CARGO_MANIFEST_DIR"), "/include"))
                .arg(&source)
                .arg("-o")
                .arg(library(folder, name))
                .status();
            assert!(built.expect("a process and its files").success());
        }
        place
    }

    fn does(&self, name: &str, what: &str) {
        fs::write(self.0.path().join(format!("do-{name}")), what).expect("a process and its files");
    }

    /// A process that starts these libraries at the same time.
    fn process(&self, names: &[&str]) -> Child {
        for name in names {
            let _ = fs::remove_file(self.0.path().join(format!("began-{name}")));
        }
        let child = Command::new(std::env::current_exe().expect("a process and its files"))
            .args(["--exact", "starts_in_a_process_of_its_own"])
            .env(LIBRARY, format!("{}:{}", self.0.path().display(), names.join(":")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a process and its files");
        let deadline = Instant::now() + Duration::from_secs(60);
        while !names.iter().all(|name| self.0.path().join(format!("began-{name}")).exists()) {
            assert!(Instant::now() < deadline, "a start did not begin");
            thread::sleep(Duration::from_millis(2));
        }
        child
    }

    fn ends(&self, names: &[&str]) -> ExitStatus {
        self.process(names).wait().expect("a process and its files")
    }

    /// A start in this process, which comes back.
    fn start(&self, name: &str) -> PitResult<PitLibrary> {
        let options = LoadOptions { sentinels: Some(self.marks()), ..LoadOptions::default() };
        PitLibrary::load(&library(self.0.path(), name), &options)
    }

    fn marks(&self) -> PathBuf {
        self.0.path().join("marks")
    }

    fn left(&self) -> usize {
        fs::read_dir(self.marks()).expect("a process and its files").count()
    }
}

fn library(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("lib{name}.so"))
}

/// Nothing when it is run as a test.
#[test]
#[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
fn starts_in_a_process_of_its_own() {
    let Ok(asked) = std::env::var(LIBRARY) else { return };
    let mut asked = asked.split(':');
    let folder = PathBuf::from(asked.next().unwrap());
    thread::scope(|scope| {
        for name in asked {
            let folder = &folder;
            scope.spawn(move || {
                let marks = folder.join("marks");
                let options = LoadOptions { sentinels: Some(marks), ..LoadOptions::default() };
                PitLibrary::load(&library(folder, name), &options)
            });
        }
    });
}

#[test]
fn three_crashes_in_a_row_quarantine_a_library_and_two_do_not() {
    let crashes = [
        ("abort", "SIGABRT"),
        ("fault", "SIGSEGV"),
        ("deep", "SIGSEGV"),
        ("raise", "SIGILL"),
        ("exit", "exit"),
        ("blocked", "SIGABRT"),
    ];
    for (what, last) in crashes {
        let place = Place::new(&["one"]);
        for _ in 0..2 {
            place.does("one", what);
            for _ in 0..2 {
                let end = place.ends(&["one"]);
                assert!(end.code() == Some(3) || end.signal().is_some(), "{what}: {end}");
            }
            place.does("one", "");
            place.start("one").unwrap();
            assert_eq!(place.left(), 0, "{what}");
        }
        place.does("one", what);
        for _ in 0..3 {
            place.ends(&["one"]);
        }
        place.does("one", "");
        let refused = place.start("one").unwrap_err();
        assert_eq!(refused.code(), Code::QUARANTINED);
        let words = format!("its last 3 starts crashed the process, the last by `{last}`");
        assert!(refused.to_string().ends_with(&words), "{what}: {refused}");
        // As its hint says; nothing of the past counts after that.
        let PitError::LibraryQuarantined { mark, .. } = &refused else { panic!("{refused}") };
        assert!(refused.hints()[1].contains(mark.to_str().unwrap()));
        fs::remove_file(mark).unwrap();
        place.start("one").unwrap();
    }
}

#[test]
fn a_library_that_is_built_anew_is_free_and_one_that_refuses_is_no_crash() {
    let place = Place::new(&["one", "mended"]);
    place.does("one", "abort");
    for _ in 0..3 {
        place.ends(&["one"]);
    }
    assert_eq!(place.start("one").unwrap_err().code(), Code::QUARANTINED);
    place.start("mended").unwrap();
    place.does("mended", "refuse");
    for _ in 0..4 {
        assert_eq!(place.start("mended").unwrap_err().code(), Code::PIT_LIBRARY);
    }
    assert_eq!(place.left(), 1);
}

#[test]
fn what_is_done_to_the_process_from_outside_is_no_crash() {
    let place = Place::new(&["one", "two"]);
    // Not HUP and INT: who runs the tests in the background may have them ignored.
    for signal in ["KILL", "TERM", "USR1", "USR2", "ABRT", "FPE"] {
        for name in ["one", "two"] {
            place.does(name, "slow");
        }
        for _ in 0..4 {
            let mut child = place.process(&["one", "two"]);
            let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
            assert!(sent.unwrap().success());
            assert!(child.wait().unwrap().signal().is_some(), "{signal}");
        }
        for name in ["one", "two"] {
            place.does(name, "");
            place.start(name).unwrap();
        }
        assert_eq!(place.left(), 0, "{signal}");
    }
    // Another process sends it to the very thread that starts the library.
    place.does("one", "killed");
    for _ in 0..4 {
        assert_eq!(place.ends(&["one"]).signal(), Some(6));
    }
    place.does("one", "");
    place.start("one").unwrap();
}

#[test]
fn a_crash_counts_against_the_library_that_crashed_and_no_other() {
    let place = Place::new(&["innocent", "guilty"]);
    place.does("innocent", "slow");
    place.does("guilty", "later");
    for _ in 0..3 {
        place.ends(&["innocent", "guilty"]);
    }
    for name in ["innocent", "guilty"] {
        place.does(name, "");
    }
    place.start("innocent").unwrap();
    assert_eq!(place.start("guilty").unwrap_err().code(), Code::QUARANTINED);
}

#[test]
fn the_handlers_of_others_are_called_and_ours_are_gone_after_a_start() {
    let caught = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        status.lines().find(|line| line.starts_with("SigCgt")).unwrap().to_owned()
    };
    let place = Place::new(&["one"]);
    let before = caught();
    place.start("one").unwrap();
    assert_eq!(caught(), before);
    // A library that handles its own fault, here with an end of its own.
    place.does("one", "handler");
    for _ in 0..4 {
        assert_eq!(place.ends(&["one"]).code(), Some(7));
    }
    place.does("one", "");
    place.start("one").unwrap();
}
