"""`symphony doctor`: machines that lack something are made for real, and the check that tells it names the cause."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import threading
import time

import machines
import pytest
from doctors import BOOTS_KEYS, assert_told, statuses
from wheels import install
from workshop import ECHO

NAMES = {
    "interpreter",
    "architecture",
    "libc",
    "frozen",
    "locale",
    "wheel",
    "core",
    "supervisor",
    "memfd",
    "pidfd",
    "landlock",
    "seccomp",
    "user-notification",
    "user-namespaces",
    "cgroups",
    "proc",
    "shared-memory",
    "descriptors",
    "cpus",
    "memory",
    "temporary",
    "state",
    "path-length",
    "manifests",
    "interpreters",
    "commands",
    "boots",
    "budgets",
    "killed-extension",
    "rollback",
    "killed-root",
    "clock",
}


# -- A machine that is well --------------------------------------------------------------------------------------------


def test_a_machine_that_is_well(doctor, workshop):
    workshop.system('state = "kept"\n')
    workshop.extension("echo", ECHO, 'activation = "eager"\n')
    document = doctor()
    assert "failed" not in statuses(document).values(), document["checks"]
    assert document["ok"] is True
    assert document["code"] == 0
    assert set(document["by_name"]) == NAMES
    assert not (workshop.folder / "kept").exists(), "the state is only looked at"


def test_text_tells_each_check_and_counts_them(cli, workshop):
    ended = cli("doctor", "--boots", "1", timeout=110)
    assert ended.code == 0, ended
    for name in NAMES:
        assert f"  {name} " in ended.out
    assert " checks: " in ended.out
    assert ended.err == ""


def test_a_configuration_that_is_not_there_is_a_failed_check_and_the_machine_is_looked_at(doctor):
    document = doctor("nowhere")
    assert_told(document, "manifests", "failed", "nowhere", "does not exist")
    assert document["by_name"]["interpreter"]["status"] == "ok"


def test_without_a_manifest_the_machine_alone_is_looked_at(doctor, workshop):
    workshop.config.unlink()
    assert_told(doctor(), "manifests", "ok", "small system")


@pytest.mark.parametrize("arguments", [("--boots", "0"), ("--boots", "x"), ("--what",), ("a", "b")])
def test_a_wrong_call_is_2_and_one_document(cli, arguments):
    ended = cli("doctor", "--json", *arguments)
    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert ended.document["ok"] is False
    assert [check["name"] for check in ended.document["checks"]] == ["arguments"]
    assert set(ended.document["boots"]) == BOOTS_KEYS


# -- The state, paths, clocks ------------------------------------------------------------------------------------------


def test_a_state_under_a_regular_file(doctor, workshop):
    (workshop.folder / "file").write_text("in the way")
    workshop.system('state = "file/deep/state"\n')
    assert_told(doctor(), "state", "failed", "file/deep/state", "/file`, which is no folder")
    assert (workshop.folder / "file").read_text() == "in the way"


def test_a_state_that_is_a_file_a_lost_link_or_too_long(doctor, workshop):
    (workshop.folder / "file").write_text("")
    (workshop.folder / "link").symlink_to(workshop.folder / "gone")
    assert_told(doctor("--state", "file"), "state", "failed", "is no folder")
    assert_told(doctor("--state", "link/inside"), "state", "failed", "a link that leads nowhere")
    assert_told(doctor("--state", "x" * 256), "state", "failed", "more than 255 bytes")


def test_a_state_that_only_others_may_write_is_left_as_it_is(doctor, workshop):
    state = workshop.folder / "state"
    state.mkdir()
    (state / "kept").write_text("kept")
    workshop.system('state = "state"\n')
    before = [os.stat(path) for path in (state, state / "kept")]
    assert_told(doctor(), "state", "ok", "can be written")
    after = [os.stat(path) for path in (state, state / "kept")]
    changed = [(one.st_mtime_ns, one.st_ctime_ns) for one in after]
    assert changed == [(one.st_mtime_ns, one.st_ctime_ns) for one in before]
    assert os.listdir(state) == ["kept"]


def test_a_path_of_200_characters(doctor, workshop):
    workshop.system(f'state = "{"s" * 200}"\n')
    assert_told(doctor(), "path-length", "degraded", "the state folder has a path of", "107")


def test_a_temporary_folder_of_200_characters(doctor, cli):
    deep = cli.temporary.with_name("t" * 200)
    deep.mkdir()
    cli.environment["TMPDIR"] = str(deep)
    assert_told(doctor(), "path-length", "degraded", "the temporary folder has a path of")
    assert os.listdir(deep) == []


def test_a_clock_that_went_back_an_hour(doctor, workshop):
    folder = workshop.folder / "state" / "artifact-store"
    folder.mkdir(parents=True)
    (folder / "journal").write_text("")
    later = time.time() + 3600
    os.utime(folder / "journal", (later, later))
    workshop.system('state = "state"\n')
    assert_told(doctor(), "clock", "degraded", "1.0 hours", "the clock was set back")


# -- What the account and the machine have -----------------------------------------------------------------------------


def test_64_descriptors_are_few(doctor):
    document = doctor(preexec_fn=machines.with_descriptors(64))
    assert_told(document, "descriptors", "degraded", "64 open files", "room for 10 extensions")
    assert "ulimit -n 1024" in document["by_name"]["descriptors"]["hint"]


def test_64_descriptors_are_too_few_for_extensions_that_start_with_the_system(doctor, workshop):
    for number in range(12):
        workshop.extension(f"echo{number}", ECHO, 'activation = "eager"\n')
    document = doctor(preexec_fn=machines.with_descriptors(64))
    assert_told(document, "descriptors", "failed", "64 open files", "12 extensions", "need 72")


def test_a_limit_of_memory_that_is_too_small(doctor):
    document = doctor(preexec_fn=machines.with_addresses(100))
    assert_told(document, "memory", "failed", "100 MiB of addresses (RLIMIT_AS)")
    document = doctor(preexec_fn=machines.with_data(40))
    assert_told(document, "memory", "failed", "40 MiB of data (RLIMIT_DATA)")


def test_a_control_group_with_little_memory_and_time(tmp_path):
    """The groups' files as the kernel writes them: in both versions, in a container, and with none."""
    from symphony._cli._doctor._control_groups import cpu_limit, memory_limit, own_group

    one, two = tmp_path / "one (1)", tmp_path / "two"
    proc = tmp_path / "proc"
    for folder in (one / "unit", two / "slice" / "unit", proc):
        folder.mkdir(parents=True)
    escaped = str(one).replace(" ", "\\040")
    mounts = [
        f"30 20 0:26 / {escaped} rw shared:9 - cgroup cgroup rw,cpu,memory",
        f"31 20 0:27 / {two} rw - cgroup2 cgroup2 rw",
    ]
    (proc / "mountinfo").write_text("\n".join([*mounts, "garbage", ""]))
    (proc / "cgroup").write_text("4:cpu,memory:/unit\n0::/slice/unit\n")
    assert own_group(str(proc)) == str(two / "slice" / "unit")
    assert memory_limit(str(proc)) is None
    assert cpu_limit(str(proc)) is None
    (one / "unit" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (two / "slice" / "unit" / "memory.max").write_text("max\n")
    assert memory_limit(str(proc)) is None
    (two / "slice" / "memory.max").write_text(f"{48 << 20}\n")
    assert memory_limit(str(proc)) == 48 << 20
    (one / "unit" / "memory.limit_in_bytes").write_text(f"{40 << 20}\n")
    assert memory_limit(str(proc)) == 40 << 20
    (two / "slice" / "unit" / "cpu.max").write_text("150000 100000\n")
    assert cpu_limit(str(proc)) == 1.5
    (one / "unit" / "cpu.cfs_quota_us").write_text("50000\n")
    (one / "unit" / "cpu.cfs_period_us").write_text("100000\n")
    assert cpu_limit(str(proc)) == 0.5
    # In a container the group's own folder is what is mounted.
    (proc / "mountinfo").write_text(
        f"31 20 0:27 /slice/unit {two}/slice/unit ro - cgroup2 none rw\n"
    )
    assert own_group(str(proc)) == str(two / "slice" / "unit")
    (proc / "cgroup").unlink()
    assert own_group(str(proc)) is None


def test_one_processor(doctor):
    assert_told(doctor(preexec_fn=machines.with_one_cpu), "cpus", "degraded", "1 of ")


def test_little_shared_memory(doctor):
    document = doctor(preexec_fn=machines.with_little_shared_memory)
    assert_told(document, "shared-memory", "degraded", "1 MiB free")


def test_a_hidden_proc(doctor):
    assert_told(
        doctor(preexec_fn=machines.without_proc), "proc", "failed", "`/proc` cannot be read"
    )


def test_a_kernel_without_landlock(doctor):
    document = doctor(preexec_fn=machines.without_landlock)
    assert_told(
        document, "landlock", "degraded", "Landlock is not there", "Function not implemented"
    )
    assert document["by_name"]["seccomp"]["status"] == "ok"


def test_a_kernel_without_user_namespaces(doctor):
    document = doctor(preexec_fn=machines.without_user_namespaces)
    assert_told(document, "user-namespaces", "degraded", "Operation not permitted")


def test_a_container_that_forbids_filters(doctor):
    document = doctor(preexec_fn=machines.without_filters)
    assert_told(document, "seccomp", "degraded", "seccomp is not there")
    assert_told(document, "user-notification", "degraded", "`network = [hosts]`")


def test_a_container_that_keeps_processes_apart(doctor):
    document = doctor(preexec_fn=machines.without_taking_descriptors)
    assert_told(document, "user-notification", "degraded", "pidfd_getfd", "`network = [hosts]`")
    assert document["by_name"]["seccomp"]["status"] == "ok"


def test_strict_fails_what_is_only_degraded(cli):
    ended = cli(
        "doctor",
        "--json",
        "--strict",
        "--boots",
        "1",
        timeout=110,
        preexec_fn=machines.with_one_cpu,
    )
    assert ended.code == 1
    assert ended.document["ok"] is False
    assert "cpus" in ended.err


# -- The interpreter's surroundings ------------------------------------------------------------------------------------


def test_a_locale_that_is_not_utf_8(doctor, cli):
    cli.environment.update({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    assert_told(doctor(), "locale", "degraded", "`C` is not UTF-8", "ascii")
    # And where Python itself takes UTF-8, but not what extensions run.
    del cli.environment["PYTHONUTF8"]
    assert_told(doctor(), "locale", "degraded", "`C` is not UTF-8", "programs that extensions run")


def test_a_locale_that_is_not_installed(doctor, cli):
    cli.environment["LC_ALL"] = "tlh_QO.UTF-8"
    assert_told(doctor(), "locale", "degraded", "`tlh_QO.UTF-8`")


def test_a_terminal_in_ascii_is_told_names_with_other_letters(cli, workshop):
    cli.environment.update({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    ended = cli(
        "doctor", "--boots", "1", "--state", os.fsencode("Müller-\N{SNOWMAN}").decode("latin-1")
    )
    assert "Traceback" not in ended.err
    assert " checks: " in ended.out


# -- The wheel's own files ---------------------------------------------------------------------------------------------


@pytest.fixture
def installed(cli, tmp_path):
    """The package as a wheel installs it, before all others on the path."""
    site = tmp_path / "site"
    install(site)
    cli.environment["PYTHONPATH"] = str(site)
    return site / "symphony"


def core_of(package):
    return next(package.glob("_core*.so"))


def test_files_that_are_as_they_were_installed(doctor, installed):
    assert_told(doctor(), "wheel", "ok", "are as they were installed")


def test_a_file_of_the_wheel_that_was_changed(doctor, installed):
    with open(installed / "batch.py", "a") as file:
        file.write("# changed\n")
    (installed / "include" / "symphony_pit.h").unlink()
    document = doctor()
    assert_told(
        document, "wheel", "failed", "`symphony/batch.py` changed", "symphony_pit.h` missing"
    )
    assert "--force-reinstall" in document["by_name"]["wheel"]["hint"]


def test_a_module_that_is_not_the_wheels(doctor, installed):
    (installed / "_core.py").write_text("raise SystemExit('not ours')\n")
    assert_told(doctor(), "wheel", "degraded", "`symphony/_core.py`")


def damaged(path):
    path.write_bytes(path.read_bytes()[:4096])


def replaced(path):
    path.write_bytes(b"not a library\n" * 100)


def built_for_another(path):
    path.rename(path.with_name("_core.cpython-27-x86_64-linux-gnu.so"))


@pytest.mark.parametrize(
    ("lose", "words"),
    [
        (os.unlink, "holds no core"),
        (damaged, "the core does not load"),
        (replaced, "the core does not load"),
        (built_for_another, "built for another interpreter"),
    ],
)
def test_a_core_that_does_not_load_is_a_failed_check(doctor, installed, workshop, lose, words):
    workshop.extension("echo", ECHO)
    lose(core_of(installed))
    document = doctor()
    assert_told(document, "core", "failed", words)
    assert_told(document, "wheel", "failed", "_core")
    assert document["by_name"]["landlock"]["status"] in {"ok", "degraded"}
    assert "see the check `core`" in document["by_name"]["manifests"]["hint"]


# -- Manifests and what they name --------------------------------------------------------------------------------------


def test_a_manifest_with_a_fault(doctor, workshop):
    workshop.system('stat = "x"\n')
    assert_told(doctor(), "manifests", "failed", "Symphony.toml:4", "`stat`")


def test_a_manifest_of_no_system(doctor, workshop):
    folder = workshop.extension("echo", ECHO)
    assert_told(doctor(folder), "manifests", "failed", "has no `[system]`")


def test_an_interpreter_that_is_not_there(doctor, workshop):
    workshop.extension("echo", ECHO, 'python = "gone/bin/python"\n')
    document = doctor()
    assert_told(document, "interpreters", "failed", "gone/bin/python` does not exist")
    assert document["by_name"]["manifests"]["status"] == "ok"


def test_an_interpreter_that_is_none(doctor, workshop):
    workshop.extension("echo", ECHO, 'python = "/bin/false"\n')
    assert_told(doctor(), "interpreters", "failed", "`/bin/false` is no interpreter that runs")


def test_a_program_that_is_not_there(doctor, workshop):
    folder = workshop.folder / "extensions" / "lines"
    folder.mkdir(parents=True)
    (folder / "Symphony.toml").write_text('[extension]\nname = "lines"\ncommand = ["./lines"]\n')
    document = doctor()
    assert_told(document, "commands", "failed", "extensions/lines/Symphony.toml:3", "`./lines`")
    assert document["by_name"]["manifests"]["status"] == "ok"
    shutil.copy(sys.executable, folder / "lines")
    assert doctor()["by_name"]["commands"]["status"] == "ok"


# -- Checks that go wrong themselves -----------------------------------------------------------------------------------


def test_a_check_that_raises_or_hangs_is_one_failed_check():
    from symphony._cli._doctor._check import Check, made
    from symphony._cli._doctor._subject import Subject

    subject = Subject(None, argparse.Namespace(), print)
    let_go, gone = threading.Event(), []

    def raises(_subject):
        raise RuntimeError("no idea")

    def leaves(_subject):
        raise SystemExit(3)

    def hangs(_subject):
        let_go.wait(30)
        time.sleep(0.2)
        gone.append(True)

    try:
        assert made(Check("one", raises), subject)[:2] == (
            "failed",
            "the check itself failed: RuntimeError: no idea",
        )
        assert made(Check("two", leaves), subject).status == "failed"
        hung = made(Check("three", hangs, 0.1), subject)
        assert hung.status == "failed"
        assert "did not end within 0.1 s" in hung.detail
    finally:
        let_go.set()
    # What it still removes is removed before the doctor goes.
    subject.let_go()
    assert gone == [True]


def test_without_a_thread_a_check_is_made_all_the_same(monkeypatch):
    from symphony._cli._doctor._check import Check, made, ok
    from symphony._cli._doctor._subject import Subject

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    subject = Subject(None, argparse.Namespace(), print)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert made(Check("one", lambda _: ok("all is well")), subject) == ok("all is well")
    raised = made(Check("two", lambda _: {}["nothing"]), subject)
    assert (raised.status, raised.detail) == (
        "failed",
        "the check itself failed: KeyError: 'nothing'",
    )
    subject.let_go()
