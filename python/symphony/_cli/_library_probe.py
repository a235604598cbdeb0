"""Looks at one Pit library, in a process that may die of it: `python _library_probe.py LIBRARY HEADER DESCRIPTOR`.

`_library.py` starts it and reads what it tells, a JSON document a line: each step before it is done, then the findings.
The library is loaded from a copy in memory, as the root does, so what is told is of the bytes that were hashed. It is
read through cffi by the header that ships: the fields are those of its authors, and not another text of the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import Any

SYMBOL = "symphony_pit_entry_v1"
MAJOR, MINOR = "SYMPHONY_PIT_ABI_MAJOR", "SYMPHONY_PIT_ABI_MINOR"
BEGIN, END = "/* begin declarations */", "/* end declarations */"
OK = 0
FUNCTIONS = ("init", "call", "free_buffer", "stop")

CLASS_64, SHARED, LOADED = 2, 3, 1
MACHINES = {3: "x86", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}


class FaultError(Exception):
    """Why the library is refused: a code, a message, a hint."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(code, message, hint)


def unfit(message: str, hint: str | None = None) -> FaultError:
    """The library was built for another interface."""
    return FaultError("abi-mismatch", message, hint)


def broken(message: str, hint: str | None = None) -> FaultError:
    """The library cannot be loaded or started."""
    return FaultError("pit-library", message, hint)


def check_file(library: bytes) -> None:
    """Refuses what the linker would die of, or could only call unfit.

    Raises:
        FaultError: It was built for another machine, or was cut short.
    """
    own = _own_header()
    if library[:4] != b"\x7fELF":
        raise broken("it is no shared library")
    if len(library) < 64:
        raise broken(_short(library, 64))
    if library[4:6] != own[4:6] or library[4] != CLASS_64:
        raise broken("it was built for another kind of machine", "build it on this kind of machine")
    machine, mine = _number(library, 18, 2), _number(own, 18, 2)
    if machine != mine:
        built, here = (MACHINES.get(one, f"machine {one}") for one in (machine, mine))
        raise broken(f"it was built for {built}, this is {here}", f"build it for {here}")
    if _number(library, 16, 2) != SHARED:
        raise broken(
            "it is a program or an object file, and no shared library", "link it with `-shared`"
        )
    at, size, count = (_number(library, *field) for field in ((32, 8), (54, 2), (56, 2)))
    needed = [at + size * count]
    if needed[0] <= len(library):
        for header in range(at, needed[0], size or 1):
            if _number(library, header, 4) == LOADED:
                offset, length = _number(library, header + 8, 8), _number(library, header + 32, 8)
                needed.append(offset + length)
    if max(needed) > len(library):
        raise broken(_short(library, max(needed)), "copy it again")


def _own_header() -> bytes:
    with open("/proc/self/exe", "rb") as file:
        return file.read(64)


def _number(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], sys.byteorder)


def _short(library: bytes, needed: int) -> str:
    return f"it was cut short: {len(library)} of at least {needed} bytes are there"


def interface(header: str) -> tuple[Any, dict[str, int]]:
    """The header as cffi reads it, and its constants."""
    import cffi

    with open(header, encoding="utf-8") as file:
        text = file.read()
    ffi = cffi.FFI()
    # What is loaded while a program runs cannot have constants of a struct's type, as cffi sees it.
    ffi.cdef(text.partition(BEGIN)[2].partition(END)[0].replace("extern const ", "extern "))
    words = [line.split() for line in text.splitlines() if line.startswith("#define ")]
    constants = {word[1]: int(word[2]) for word in words if len(word) == 3 and word[2].isdigit()}
    return ffi, constants


class Library:
    """A library that the linker has taken, by its table."""

    def __init__(self, ffi: Any, constants: dict[str, int], name: str) -> None:
        self.ffi = ffi
        try:
            self.loaded = ffi.dlopen(name, ffi.RTLD_NOW | ffi.RTLD_LOCAL)
        except OSError as error:
            text = str(error).replace(name, "it").replace("cannot load library 'it': ", "")
            raise broken(f"the linker refused it: {text}") from None
        try:
            entry = ffi.addressof(self.loaded, SYMBOL)
        except AttributeError:
            raise broken(
                f"it does not export `{SYMBOL}`",
                "`export_pit!` does in Rust; in C it is a constant table",
            ) from None
        self._check_head(entry, constants)
        self.table = entry[0]
        null = [name for name in FUNCTIONS if not getattr(self.table, name)]
        if null:
            raise unfit(f"`{null[0]}` of its table is null")
        self.name, self.version = (self._text(self.table, what) for what in ("name", "version"))
        self.operations = self._operations()

    def _check_head(self, entry: Any, constants: dict[str, int]) -> None:
        """Before any field behind the first eight bytes is read."""
        head = bytes(self.ffi.buffer(self.ffi.cast("uint8_t *", entry), 8))
        size, major, minor = (_number(head, *field) for field in ((0, 4), (4, 2), (6, 2)))
        least = self.ffi.sizeof("symphony_pit_entry")
        own = f"{constants[MAJOR]}.{constants[MINOR]}"
        hint = "build it against the `symphony_pit.h` that lies in `symphony.include()`"
        if major != constants[MAJOR]:
            message = (
                f"it was built for interface version {major}, this is version {constants[MAJOR]}"
            )
            raise unfit(message, hint)
        if minor > constants[MINOR]:
            raise unfit(f"it needs interface {major}.{minor}, this host offers {own}", hint)
        if size < least:
            raise unfit(f"its table has {size} bytes, version 1.0 has {least}", hint)
        self.interface = f"{major}.{minor}"

    def _text(self, holder: Any, what: str) -> str:
        text = getattr(holder, what)
        try:
            found = bytes(self.ffi.buffer(text.data, text.length)).decode() if text.length else ""
        except UnicodeDecodeError:
            raise broken(f"its {what} is no UTF-8") from None
        if not found:
            raise broken(f"its {what} is empty")
        return found

    def _operations(self) -> list[str]:
        found: list[str] = []
        for number in range(self.table.operation_count):
            holder = _Named(self.table.operations[number])
            name = self._text(holder, "operation")
            if name in found:
                raise broken(f"it names operation `{name}` twice")
            found.append(name)
        return found

    def start_and_stop(self, tell: Any) -> None:
        """Runs `init` and, where it went well, `stop`.

        Raises:
            FaultError: `init` refused.
        """
        ffi = self.ffi

        def line(_level: int, _text: Any) -> None:
            """What it writes to the log is of no interest here."""

        log = ffi.new("symphony_pit_log *", {"struct_size": ffi.sizeof("symphony_pit_log")})
        line_callback = ffi.callback("void(uint32_t, symphony_pit_text)", line)
        log.line = line_callback

        def service(name: Any) -> Any:
            asked = bytes(ffi.buffer(name.data, name.length)) if name.length else b""
            return ffi.cast("const void *", log) if asked == b"symphony.log.v1" else ffi.NULL

        host = ffi.new("symphony_pit_host *")
        host.struct_size = ffi.sizeof("symphony_pit_host")
        host.abi_major, host.abi_minor = map(int, self.interface.split("."))
        service_callback = ffi.callback("const void *(symphony_pit_text)", service)
        host.service = service_callback
        instance = ffi.new("void **")
        error = ffi.new("symphony_pit_buffer *")
        tell(step="in its `init`")
        status = self.table.init(host, instance, error)
        message = (
            bytes(ffi.buffer(error.data, error.length)) if error.data and error.length else b""
        )
        if error.data or error.owner:
            tell(step="in its `free_buffer`, after `init`")
            self.table.free_buffer(error)
        if status != OK:
            raise broken(f"its start returned {status}: {message.decode(errors='replace')}")
        tell(step="in its `stop`")
        self.table.stop(instance[0])


class _Named:
    """A text under the name by which faults call it."""

    def __init__(self, operation: Any) -> None:
        self.operation = operation


def main(library: str, header: str, descriptor: int) -> None:
    """Tells what it finds, and ends."""
    out = os.fdopen(descriptor, "w", encoding="utf-8")

    def tell(**words: Any) -> None:
        out.write(json.dumps(words) + "\n")
        out.flush()

    try:
        with open(library, "rb") as file:
            content = file.read()
        check_file(content)
        memory = os.memfd_create("symphony-check")
        with os.fdopen(memory, "wb", closefd=False) as copy:
            copy.write(content)
        tell(step="while the linker loaded it")
        found = Library(*interface(header), f"/proc/self/fd/{memory}")
        found.start_and_stop(tell)
    except FaultError as fault:
        tell(fault=fault.args)
    except OSError as error:
        tell(fault=("pit-library", f"it cannot be read: {error.strerror}", None))
    else:
        tell(
            name=found.name,
            version=found.version,
            interface=found.interface,
            operations=found.operations,
            sha256=hashlib.sha256(content).hexdigest(),
        )
    # Nothing of the library runs any more, as its destructors would at a usual end.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
