"""`symphony dev`: edits are taken up at once, or told; what runs goes on; nothing is left."""

from __future__ import annotations

import importlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time

import pytest
from symphony._cli._dev.modules import OwnModules
from workshop import write

SECONDS = 20
HELLO = "@extension.operation\ndef hello(who='you'):\n    return f'{greeting} {who}'\n"


class Dev:
    """One that runs: its lines as they come, and a way to type."""

    def __init__(self, cli, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "symphony", "dev", *map(str, arguments)],
            cwd=cli.workshop.folder,
            env=cli.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self.lines: list[str] = []
        self._arrived: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._arrived.put(line)
        self._arrived.put(None)

    def wait_for(self, *words):
        """The next line with all of these words."""
        end = time.monotonic() + SECONDS
        while True:
            try:
                line = self._arrived.get(timeout=max(end - time.monotonic(), 0.01))
            except queue.Empty:
                line = None
            assert line is not None, f"no line with {words} in\n{''.join(self.lines)}"
            self.lines.append(line)
            if all(word in line for word in words):
                return line

    def type(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(SECONDS)
        self.process.stdin.close()
        self._reader.join(SECONDS)
        self.process.stdout.close()

    def interrupt(self, number=signal.SIGINT):
        self.process.send_signal(number)
        code = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        while not self._arrived.empty():
            self.lines.append(self._arrived.get() or "")
        self.lines = [line for line in self.lines if line]
        return code


@pytest.fixture
def dev(cli, workshop):
    """Starts one; it is ended after the test."""
    started = []

    def start(*arguments):
        started.append(Dev(cli, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.close()


def greeter(workshop, greeting, extra=""):
    return workshop.extension("hello", f"greeting = {greeting!r}\n{HELLO}{extra}")


def test_an_edit_is_what_the_next_call_runs(dev, workshop):
    folder = greeter(workshop, "one")
    running = dev()
    running.wait_for("ready in", "hello")
    running.type("hello.hello who=me")
    running.wait_for("hello.hello: one me", "ms)")
    # Of the same length, in the same second: interpreters take that for no edit.
    for greeting in ("two", "six", "ten"):
        greeter(workshop, greeting)
        running.wait_for("hello.py` changed; restarted in")
        running.type("hello.hello")
        running.wait_for(f"hello.hello: {greeting} you")
    # As editors save: a new file in the old one's place.
    source = (folder / "hello.py").read_text().replace("'ten'", "'new'")
    (folder / ".hello.py.swp").write_text(source)
    os.replace(folder / ".hello.py.swp", folder / "hello.py")
    running.wait_for("hello.py` changed; restarted in")
    running.type("hello.hello")
    running.wait_for("hello.hello: new you")
    assert running.interrupt() == 130
    assert running.lines[-1] == "interrupted\n"
    assert "Traceback" not in "".join(running.lines)


def test_an_edit_that_does_not_parse_leaves_what_runs(dev, workshop):
    folder = greeter(workshop, "one")
    running = dev()
    running.wait_for("ready in")
    running.type("hello.hello")
    running.wait_for("one you")
    source = (folder / "hello.py").read_text()
    (folder / "hello.py").write_text(source + "\ndef broken(:\n")
    running.wait_for("hello.py", "line")
    running.wait_for("not restarted; what runs goes on as it is")
    running.type("hello.hello")
    running.wait_for("one you")
    # Another file does not make it whole.
    write(folder / "more.py", "a = 1\n")
    running.wait_for("not restarted; what runs goes on as it is")
    (folder / "hello.py").write_text(source.replace("one", "two"))
    running.wait_for("restarted in")
    running.type("hello.hello")
    running.wait_for("two you")


def test_one_that_fails_at_its_start_is_told_and_comes_back(dev, workshop):
    greeter(workshop, "one")
    running = dev()
    running.wait_for("ready in")
    running.type("hello.hello")
    running.wait_for("one you")
    greeter(workshop, "two", "\nraise RuntimeError('not yet')\n")
    running.wait_for("hello | ", "RuntimeError: not yet")
    greeter(workshop, "six")
    running.wait_for("restarted in")
    running.type("hello.hello")
    running.wait_for("six you")


def test_what_extensions_print_has_their_names(dev, workshop):
    workshop.extension(
        "talker", "@extension.operation\ndef talk():\n    print('first')\n    print('second')\n"
    )
    running = dev()
    running.wait_for("ready in")
    running.type("talker.talk")
    running.wait_for("talker | first")
    running.wait_for("talker | second")
    running.type("talker.talk x=1")
    running.wait_for("error: ")
    running.type("nobody")
    running.wait_for("is not of the form EXTENSION.OPERATION")


def test_manifests_and_new_extensions_are_taken_up(dev, workshop):
    greeter(workshop, "one")
    running = dev()
    running.wait_for("ready in")
    workshop.extension("later", "@extension.operation\ndef answer():\n    return 42\n")
    running.wait_for("ready in", "hello, later")
    running.type("later.answer")
    running.wait_for("later.answer: 42")
    manifest = workshop.folder / "extensions" / "later" / "Symphony.toml"
    whole = manifest.read_text()
    manifest.write_text(whole + "nonsense = 1\n")
    running.wait_for("nonsense")
    running.wait_for("what runs goes on as it is")
    running.type("later.answer")
    running.wait_for("later.answer: 42")
    manifest.write_text(whole)
    running.wait_for("ready in", "hello, later")


def test_a_system_that_does_not_boot_is_booted_at_the_next_edit(dev, workshop):
    folder = workshop.extension(
        "hello", "raise RuntimeError('not yet')\n", 'activation = "eager"\noperations = ["hello"]'
    )
    running = dev()
    running.wait_for("error: ")
    running.wait_for("waiting for an edit")
    source = (folder / "hello.py").read_text()
    (folder / "hello.py").write_text(
        source.replace("raise RuntimeError('not yet')", f"greeting = 'one'\n{HELLO}")
    )
    running.wait_for("ready in")
    running.type("hello.hello")
    running.wait_for("one you")


def test_what_tools_write_and_tests_restart_nothing(dev, workshop):
    folder = greeter(workshop, "one")
    running = dev()
    running.wait_for("ready in")
    running.type("hello.hello")
    running.wait_for("one you")
    for name in ("hello.py~", ".hello.py.swp", "test_hello.py", "out.log"):
        write(folder / name, "x = 1\n")
    write(folder / "__pycache__" / "x.pyc", "1")
    running.type("hello.hello who=me")
    running.wait_for("one me")
    time.sleep(0.5)
    greeter(workshop, "two")
    running.wait_for("restarted in")
    assert "".join(running.lines).count("restarted in") == 1


def test_an_entry_that_is_named_like_a_test_is_restarted(dev, workshop):
    folder = workshop.extension("hello", "", entry="test_hello:extension")
    source = (
        "from symphony.extension import Extension\nextension = Extension('hello')\n"
        "@extension.operation\ndef hello():\n    return 'one'\n"
    )
    write(folder / "test_hello.py", source)
    running = dev()
    running.wait_for("ready in")
    running.type("hello.hello")
    running.wait_for("hello.hello: ", "one")
    write(folder / "test_hello.py", source.replace("one", "two"))
    running.wait_for("restarted in")
    running.type("hello.hello")
    running.wait_for("hello.hello: ", "two")


COMPONENT = (
    "import helping\nfrom symphony import component\nprint('imported {}', helping.WORD)\n"
    "@component\nclass A: ...\n"
)


@pytest.mark.parametrize("package", [False, True])
def test_an_edit_of_a_component_is_what_the_next_boot_has(dev, workshop, package):
    file = workshop.folder / ("shop/__init__.py" if package else "shop.py")
    helping = write(workshop.folder / "helping.py", "WORD = 'a'\n")
    write(file, COMPONENT.format(1))
    workshop.system('components = ["shop"]\n')
    running = dev()
    running.wait_for("imported 1 a")
    running.wait_for("ready in")
    # As long as before, in the same second: bytecode would be taken for new.
    write(helping, "WORD = 'b'\n")
    write(file, COMPONENT.format(2))
    running.wait_for("imported 2 b")
    running.wait_for("ready in")
    write(file, "def f(:\n")
    running.wait_for("SyntaxError")
    running.wait_for("what runs goes on as it is")
    write(file, "raise RuntimeError('no')\n")
    running.wait_for("error: ")
    running.wait_for("waiting for an edit")
    write(file, COMPONENT.format(3))
    running.wait_for("imported 3 b")
    running.wait_for("ready in")
    # A boot for another reason has it anew, too.
    workshop.system('components = ["shop"]\n# another\n')
    running.wait_for("imported 3 b")
    running.wait_for("ready in")


def test_only_what_was_imported_from_the_own_folders_is_forgotten(tmp_path, monkeypatch):
    write(tmp_path / "site-packages" / "installed_one.py", "")
    write(tmp_path / "own_early.py", "")
    write(tmp_path / "own_late.py", "")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    names = ("own_early", "own_late", "installed_one")
    try:
        importlib.import_module("own_early")
        modules = OwnModules([str(tmp_path), os.path.dirname(os.__file__)])
        before = set(sys.modules)
        for name in ("own_late", "installed_one", "this"):
            importlib.import_module(name)
        modules.forget()
        assert set(sys.modules) - before == {"installed_one", "this"}
        assert "own_early" in sys.modules
    finally:
        for name in (*names, "this"):
            sys.modules.pop(name, None)


def test_a_debugger_stops_in_an_extension_in_this_process(dev, workshop):
    greeter(workshop, "one", "@extension.operation\ndef stop():\n    breakpoint(); return 7\n")
    running = dev("--in-process", "hello")
    running.wait_for("ready in")
    running.type("hello.stop")
    running.wait_for("return 7")
    running.type("p greeting")
    running.wait_for("'one'")
    running.type("c")
    running.wait_for("hello.stop: 7")
    greeter(workshop, "two")
    running.wait_for("restarted in")
    running.type("hello.hello")
    running.wait_for("two you")
    assert running.interrupt() == 130


def test_an_interrupt_in_the_debugger_ends_everything(dev, workshop):
    greeter(workshop, "one", "@extension.operation\ndef stop():\n    breakpoint(); return 7\n")
    running = dev("--in-process", "hello")
    running.wait_for("ready in")
    running.type("hello.stop")
    running.wait_for("return 7")
    assert running.interrupt() == 130
    assert "Fatal Python error" not in "".join(running.lines)


@pytest.mark.parametrize("arguments", [["--in-process", "nobody"], ["nowhere.toml"]])
def test_what_cannot_begin_is_refused(cli, workshop, form, arguments):
    greeter(workshop, "one")
    told = cli("dev", *arguments)
    assert told.code in {1, 2}, told
    form(told.err)
