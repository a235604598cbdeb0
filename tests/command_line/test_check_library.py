"""`symphony check lib.so`: a Pit library looked at in a process of its own, whatever it does there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from symphony import include
from symphony._cli import _library
from workshop import ROOT

SOURCE = """
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "symphony_pit.h"
#define TEXT(words) { (const uint8_t *)(words), sizeof(words) - 1 }
#ifndef MAJOR
#define MAJOR 1
#endif
#ifndef MINOR
#define MINOR 0
#endif
#ifndef SIZE
#define SIZE sizeof(symphony_pit_entry)
#endif
#ifndef CALL
#define CALL call
#endif
#ifndef NAME
#define NAME "probe"
#endif
#ifndef SECOND
#define SECOND "two"
#endif
#ifndef INIT
#define INIT
#endif
#ifndef STOP
#define STOP
#endif
#ifndef LOAD
#define LOAD
#endif
#ifndef ENTRY
#define ENTRY symphony_pit_entry_v1
#endif
static char words[] = "no device";
static volatile int *nowhere;
__attribute__((constructor)) static void load(void) { (void)nowhere; LOAD; }
static int32_t init(const symphony_pit_host *host, void **instance, symphony_pit_buffer *error) {
    symphony_pit_text log = TEXT("symphony.log.v1"), line = TEXT("hello");
    const symphony_pit_log *service = host->service(log);
    if (!service || host->service(line)) return 9;
    service->line(3, line);
    (void)words, (void)error;
    INIT;
    *instance = words;
    return 0;
}
static int32_t call(void *instance, symphony_pit_text operation, symphony_pit_text input,
                    symphony_pit_buffer *output) {
    (void)instance, (void)operation, (void)input, (void)output;
    return 0;
}
static void free_buffer(symphony_pit_buffer *buffer) { buffer->data = NULL; }
static void stop(void *instance) { if (instance != words) abort(); STOP; }
static const symphony_pit_text operations[] = { TEXT("one"), TEXT(SECOND) };
const symphony_pit_entry ENTRY = {
    SIZE, MAJOR, MINOR, TEXT(NAME), TEXT("1.2"), operations, 2, init, CALL, free_buffer, stop,
};
"""

REFUSES = "error->data = (uint8_t *)words; error->length = 9; return 1"

CASES = {
    "another major version": (["MAJOR=2"], "does not fit: it was built for interface version 2"),
    "a newer minor version": (["MINOR=7"], "does not fit: it needs interface 1.7"),
    "a short table": (["SIZE=64"], "does not fit: its table has 64 bytes"),
    "a null function": (["CALL=0"], "does not fit: `call` of its table is null"),
    "no entry": (["ENTRY=another"], "it does not export `symphony_pit_entry_v1`"),
    "no name": (['NAME=""'], "its name is empty"),
    "one name twice": (['SECOND="one"'], "it names operation `one` twice"),
    "a name that is no text": (['SECOND="\\xff"'], "its operation is no UTF-8"),
    "init refuses": ([f"INIT={REFUSES}"], "its start returned 1: no device"),
    "init crashes": (["INIT=*nowhere = 1"], "with SIGSEGV in its `init`"),
    "init exits": (["INIT=exit(3)"], "with exit code 3 in its `init`"),
    "init hangs": (["INIT=sleep(600)"], "it did not come back within 2 s in its `init`"),
    "stop aborts": (["STOP=abort()"], "with SIGABRT in its `stop`"),
    "loading crashes": (["LOAD=abort()"], "with SIGABRT while the linker loaded it"),
}


def compiled(folder: Path, defines=()) -> Path:
    source, library = folder / "library.c", folder / "libprobe.so"
    source.write_text(SOURCE, encoding="utf-8")
    flags = ["-shared", "-fPIC", f"-I{include()}", *(f"-D{define}" for define in defines)]
    subprocess.run(["cc", *flags, str(source), "-o", str(library)], check=True)
    return library


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_told_and_takes_nobody_down(case, tmp_path, monkeypatch):
    defines, told = CASES[case]
    if case == "init hangs":
        monkeypatch.setattr(_library, "PATIENCE", 2.0)
    (fault,) = _library.library_faults(str(compiled(tmp_path, defines)))
    assert fault.severity == "error"
    assert told in fault.message
    assert fault.code == ("abi-mismatch" if "does not fit" in told else "pit-library")


def test_one_that_fits_is_described(tmp_path):
    (note,) = _library.library_faults(str(compiled(tmp_path)))
    assert note.severity == "note"
    assert note.message.startswith("`probe` 1.2 for interface 1.0: `one`, `two`; SHA-256 `")


def test_a_damaged_file_is_refused_before_it_is_loaded(tmp_path):
    library = compiled(tmp_path, ["LOAD=abort()"])
    whole = library.read_bytes()
    bent = {
        "it is no shared library": b"text",
        "it was cut short": whole[:200],
        "it was built for machine": whole[:18] + b"\x34\x12" + whole[20:],
        "it is a program or an object file": whole[:16] + b"\x02\x00" + whole[18:],
    }
    for told, content in bent.items():
        library.write_bytes(content)
        (fault,) = _library.library_faults(str(library))
        assert told in fault.message


def test_the_command_reads_it_and_both_examples_pass(tmp_path):
    library = tmp_path / "libcounter.so"
    source = ROOT / "crates/pit/examples/counter_library.c"
    flags = ["-shared", "-fPIC", f"-I{include()}"]
    subprocess.run(["cc", *flags, str(source), "-o", str(library)], check=True)
    for form, good in (([], library), (["--json"], library)):
        command = [sys.executable, "-m", "symphony", "check", *form, str(good)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["diagnostics"]
    assert found["message"].startswith("`counter` 0.1.0 for interface 1.0: `echo`")
    library.write_bytes(library.read_bytes()[:300])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert not json.loads(done.stdout)["ok"]
