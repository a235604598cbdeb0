"""Fifty extensions: they boot, answer and go, and nothing of them is left."""

from __future__ import annotations

import gc
import os
import re

from symphony import boot
from workshop import Workshop, descendants, descriptors, native_threads, run_python, wait_until

FIFTY = 50
EAGER = 10


def fifty(workshop: Workshop) -> None:
    for number in range(FIFTY):
        workshop.extension(
            f"extension-{number:02}",
            f"""
            import sys
            @extension.operation
            def answer(value):
                print("said on stdout")
                print("said on stderr", file=sys.stderr)
                return [{number}, value]
            """,
            'activation = "eager"' if number < EAGER else "",
        )


def test_fifty_extensions_come_answer_and_go(workshop, tmp_path, nothing_left, capfd):
    fifty(workshop)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    before = set(os.listdir("/tmp")), set(os.listdir("/dev/shm"))
    with boot(config=workshop.config) as system:
        names = system.kit.extensions()
        assert len(names) == FIFTY
        ready = [name for name in names if system.kit.extension(name).state == "ready"]
        assert ready == [f"extension-{number:02}" for number in range(EAGER)]
        # The supervisor and its ten.
        assert len(descendants()) == 1 + EAGER
        for number, name in enumerate(names):
            assert system.kit.extension(name).call("answer", value=name) == [number, name]
        assert len(descendants()) == 1 + FIFTY
        assert system.health().state == "healthy"
    assert wait_until(lambda: not descendants())
    state = workshop.folder / ".symphony"
    left = [
        str(path.relative_to(state))
        for path in state.rglob("*")
        if path.is_socket() or path.is_fifo()
    ]
    assert left == []
    # Not those of other processes of this machine, which have their numbers.
    temporary = [
        name
        for name in set(os.listdir("/tmp")) - before[0]
        if "symphony" in name and re.match(rf"symphony-(?!{os.getpid()}-)\d+-", name) is None
    ]
    assert temporary == []
    assert set(os.listdir("/dev/shm")) <= before[1]
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_a_script_prints_nothing_of_its_own_and_leaves_nothing(workshop):
    fifty(workshop)
    result = run_python(
        """
        import sys
        from symphony import boot
        with boot(config=sys.argv[1]) as system:
            for name in system.kit.extensions():
                assert system.kit.extension(name).call("answer", value=1)[1] == 1
        print("done")
        """,
        str(workshop.config),
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


def test_systems_one_after_another_leave_nothing(workshop):
    for number in range(4):
        workshop.extension(
            f"e{number}", "@extension.operation\ndef one(): return 1\n", 'activation = "eager"'
        )

    def once():
        with boot(config=workshop.config) as system:
            assert system.kit.extension("e3").call("one") == 1

    once()
    gc.collect()
    before = descriptors(), native_threads()
    for _ in range(4):
        once()
    gc.collect()
    assert wait_until(lambda: descriptors() <= before[0])
    assert wait_until(lambda: native_threads() <= before[1])
    assert wait_until(lambda: not descendants())


def test_two_systems_at_the_same_time_do_not_meet(tmp_path):
    one, other = Workshop(tmp_path / "one"), Workshop(tmp_path / "other")
    for workshop, word in ((one, "one"), (other, "other")):
        workshop.extension("same", f"@extension.operation\ndef word(): return {word!r}\n")
    with boot(config=one.config) as first, boot(config=other.config) as second:
        assert first.kit.extension("same").call("word") == "one"
        assert second.kit.extension("same").call("word") == "other"
        first.shutdown()
        assert second.kit.extension("same").call("word") == "other"
