"""The interpreter and what surrounds it: version, machine, C library, locale, and whether the program is frozen."""

from __future__ import annotations

import locale
import os
import platform
import sys
import sysconfig
from typing import TYPE_CHECKING

from symphony._cli._doctor._check import Finding, degraded, failed, ok
from symphony._guest import packaged

if TYPE_CHECKING:
    from symphony._cli._doctor._subject import Subject

OLDEST = (3, 9)
MACHINES = ("x86_64", "aarch64")


def look_at_interpreter(_subject: Subject) -> Finding:
    """CPython, new enough, with a file that can be started again."""
    name, version = platform.python_implementation(), platform.python_version()
    told = f"{name} {version}, `{sys.executable}`"
    if name != "CPython":
        return failed(f"{told}: the core is a module of CPython", "run Symphony with CPython")
    if sys.version_info < OLDEST:
        return failed(f"{told}: too old", f"install Python {OLDEST[0]}.{OLDEST[1]} or newer")
    if packaged.program() is None and not (sys.executable and os.access(sys.executable, os.X_OK)):
        return failed(
            f"{name} {version}, and `sys.executable` is `{sys.executable}`, which cannot be executed: the supervisor "
            "and the extensions are started from it",
            "set `python` of `[system]`, or `sys.executable`, to the interpreter's file",
        )
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return degraded(
            f"{told}, free-threaded: Symphony is not tested there",
            "use the interpreter with the lock",
        )
    return ok(told)


def look_at_frozen(_subject: Subject) -> Finding:
    """Whether this is a packaged program, which must serve as its own supervisor."""
    package = os.path.dirname(os.path.abspath(__file__))
    if any(os.path.isfile(part) for part in _parents(package)):
        return failed(
            f"the package lies in an archive (`{package}`), from which no core can be loaded",
            "unpack it: install the wheel, or package with PyInstaller or Nuitka",
        )
    if packaged.program() is not None:
        return ok(
            "a packaged program: `symphony.freeze_support()` must be the first call of its `main`"
        )
    return ok("no, an interpreter runs it")


def _parents(path: str) -> list[str]:
    """The path and all above it."""
    found = [path]
    while os.path.dirname(path) != path:
        path = os.path.dirname(path)
        found.append(path)
    return found


def look_at_architecture(_subject: Subject) -> Finding:
    """A machine for which there is a core, and an interpreter of the same kind."""
    machine = platform.machine()
    bits = 64 if sys.maxsize > 2**32 else 32
    told = f"{sys.platform} on {machine}, {bits} bit, {sys.byteorder} endian"
    if bits != 64 or sys.byteorder != "little":
        return failed(f"{told}: the lanes need 64 bit, little endian", "use a 64-bit interpreter")
    if sys.platform != "linux":
        return degraded(
            f"{told}: tested on Linux alone; guests are not held to their grants here",
            "run Symphony on Linux where extensions are not trusted",
        )
    if machine not in MACHINES:
        return degraded(f"{told}: not tested there", f"tested are {' and '.join(MACHINES)}")
    return ok(told)


def look_at_libc(_subject: Subject) -> Finding:
    """The C library that the wheel was built against, or a newer one."""
    try:
        version = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError, AttributeError):
        version = ""
    name, _, number = version.partition(" ")
    if name != "glibc":
        return degraded(
            "the C library is not glibc (musl, or another): the wheels are built for glibc",
            "build Symphony from its source here, or use an image with glibc",
        )
    parts = tuple(int(part) for part in number.split(".") if part.isdigit())
    if parts < (2, 17):
        return failed(f"{version} is older than the wheels, which need 2.17", "use a newer system")
    return ok(version)


def look_at_locale(_subject: Subject) -> Finding:
    """Names of files and output of programs are UTF-8, for us and for what is started."""
    named = next(
        (value for name in ("LC_ALL", "LC_CTYPE", "LANG") if (value := os.environ.get(name))), ""
    )
    encodings = (
        f"files `{sys.getfilesystemencoding()}`, text `{locale.getpreferredencoding(False)}`"
    )
    hint = "set `LC_ALL=C.UTF-8`, and do not set `PYTHONUTF8=0`"
    ours = {
        encoding.lower().replace("-", "")
        for encoding in (sys.getfilesystemencoding(), locale.getpreferredencoding(False))
    }
    if ours != {"utf8"}:
        return degraded(
            f"the locale `{named or 'C'}` is not UTF-8 ({encodings}): names of files and lines of extensions with "
            "letters beyond ASCII are told as escapes, or refused",
            hint,
        )
    try:
        locale.setlocale(locale.LC_CTYPE, "")
    except locale.Error:
        return degraded(
            f"the locale `{named}` is not installed here, so that programs fall back to ASCII", hint
        )
    codes = locale.nl_langinfo(locale.CODESET)
    if named and codes.lower().replace("-", "") != "utf8":
        return degraded(
            f"the locale `{named}` is not UTF-8 but {codes}: this interpreter uses UTF-8 all the same, and programs "
            "that extensions run do not",
            hint,
        )
    return ok(f"`{named or 'C'}`, {encodings}")
