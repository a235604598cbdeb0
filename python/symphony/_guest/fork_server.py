"""The supervisor's process: one thread, a warm interpreter, and a fork for every extension.

Started by the root with the environment's own `site`, so that a guest has its prefix, its `.pth` files and the import
hooks that they install. Invariant: no thread is started here and no user code is imported; what an extension needs is
imported after its fork.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    from symphony._core import SupervisorServer
    from symphony.records import ChildRecord

# What nearly every guest imports: done once here, its pages are shared by all that are forked.
WARM = (
    "symphony.extension",
    "symphony._guest.ending",
    "symphony._guest.folder_modules",
    "symphony._guest.server",
    "encodings.latin_1",
    "re",
    "json",
    "signal",
    "tokenize",
    "traceback",
    "ast",
    "typing",
    # `os.execvpe` imports it: in a program's sandbox there is nothing of this interpreter to be read.
    "warnings",
)


def main(at_start: Iterable[str]) -> NoReturn:
    """Serves the root until it ends or says stop; then nothing of the tree is left.

    Args:
        at_start: The modules that the interpreter held before anything of ours.
    """
    begin = time.monotonic()
    from symphony import _core
    from symphony._guest.folder_modules import remember_start
    from symphony._guest.packaged import leave_bundle

    leave_bundle()
    remember_start(at_start)

    loaded = time.monotonic()
    server = _core.SupervisorServer()
    for module in WARM:
        __import__(module)
    server.interpreter(*_reads())
    _settle()
    warm = time.monotonic()
    server.up([("import", begin, loaded), ("warm image", loaded, warm)])
    while True:
        number = server.next()
        if number is None:
            # The tree is ended; an exit of the interpreter would only delay the root, which waits for this process.
            os._exit(0)
        try:
            child = os.fork()
        except OSError as error:
            server.not_started(number, f"fork: {error.strerror}")
            continue
        if child == 0:
            # As a program ends: threads, `atexit`, finalizers, files.
            sys.exit(_become_guest(server))
        server.spawned(number, child)


def _reads() -> tuple[list[str], list[str], list[str]]:
    """What this interpreter reads: its installation's prefixes, where modules come from, and files of import hooks.

    By such hooks editable packages are found that are not on `sys.path`.
    """
    prefixes = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}
    path = [os.path.abspath(entry) for entry in sys.path if entry]
    modules = [
        (name, getattr(module, "__file__", None)) for name, module in list(sys.modules.items())
    ]
    finders = [file for name, file in modules if file and "editable" in name]
    bundle = getattr(sys, "_MEIPASS", None)
    return sorted(prefixes), [*path, bundle] if bundle else path, finders


def _settle() -> None:
    """Keeps the pages of the warm image shared: what is here now is never done, or collected, in a child."""
    import gc

    from symphony._guest.server import prepare_standard_streams

    prepare_standard_streams()
    gc.collect()
    gc.freeze()


def _become_guest(server: SupervisorServer) -> int:
    """In the child: runs the extension; the exit code for its process."""
    begun = time.monotonic()
    try:
        guest = server.prepare_child()
        if guest.get("resolver"):
            server.resolve()
            # No code of an extension ran here, so there is nothing that has to end in order.
            os._exit(0)
        # One by one: `update` asks an abstract class what it was given, which writes to 0.3 MiB of shared pages.
        for name, value in guest["environment"]:
            os.environ[name] = value
            if name == "PYTHONPYCACHEPREFIX":
                # A trusted extension of a project: this interpreter runs already, and reads no code that is not pinned.
                sys.pycache_prefix, sys.dont_write_bytecode = value, True
        argv = guest.get("argv")
        if guest.get("beside"):
            _bridge(server, argv or [])
        if argv is not None:
            _execute(argv)
        return _serve(guest, begun)
    except BaseException as error:  # noqa: BLE001 - nothing may leave a forked child but its exit.
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return 1


def _bridge(server: SupervisorServer, argv: list[str]) -> NoReturn:
    """Starts a language server or an MCP server, and speaks for it until one of both goes."""
    child = os.fork()
    if child == 0:
        try:
            server.become_server()
        except Exception as error:  # noqa: BLE001 - nothing may leave a forked child but its exit.
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201
            os._exit(126)
        _execute(argv)
    # No code of the extension ran here, so there is nothing that has to end in order.
    os._exit(server.bridge(child))


def _serve(guest: ChildRecord, begun: float) -> int:
    import signal

    from symphony._signal_handlers import Handlers
    from symphony.extension import serve

    # As an interpreter starts: it ignores these two itself, and a broken pipe is an exception.
    _restore_signals(but=(signal.SIGPIPE, signal.SIGXFSZ))
    # Ctrl-C belongs to the root alone; it relays what it wants stopped. A handler, because a program that the extension
    # starts would begin with what is ignored here.
    Handlers().put(signal.SIGINT, _left_to_the_root, without_us=signal.default_int_handler)
    sys.argv = [guest["name"]]
    folder = guest["folder"]
    sys.path[:0] = [path for path in guest.get("paths", ()) if path != folder]
    return serve(guest.get("entry", ""), folder, guest["lane"], begun)


def _left_to_the_root(_number: int, _frame: object) -> None:
    """Does nothing with a Ctrl-C."""


def _restore_signals(but: tuple[int, ...] = ()) -> None:
    """Puts signals to their defaults, whatever this interpreter and whoever started it made of them."""
    import signal

    for number in signal.valid_signals():
        kept = number in but or number in {signal.SIGKILL, signal.SIGSTOP}
        if not kept and signal.getsignal(number) is not signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _execute(argv: list[str]) -> NoReturn:
    _restore_signals()
    try:
        os.execvpe(argv[0], argv, os.environ)  # noqa: S606 - the manifest names the program.
    except OSError as error:
        print(f"cannot execute `{argv[0]}`: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(127)
