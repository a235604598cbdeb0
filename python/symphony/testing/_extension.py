"""Runs an extension in the test's process: on a thread of it, with a real lane to a real system.

Everything but the process is as it will be: the handshake, the queue, values as they cross the lane, deadlines,
cancels, hooks, grants. Invariant: whatever the extension does, closing it leaves no thread, no process and no file
behind, but for a thread that is in code which does not end.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import tempfile
import weakref
from types import ModuleType
from typing import TYPE_CHECKING, Any, Callable, TypeVar, cast

from symphony import _core
from symphony._boot.starter import Starter
from symphony._guest.in_process import InProcessServer
from symphony.config import SystemConfig, as_config
from symphony.exceptions import ExtensionError, InvalidValueError
from symphony.extension import Extension

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from symphony import System
    from symphony.config import StrPath

P = TypeVar("P")


def extension(
    module: ModuleType | str | Extension,
    *,
    config: StrPath | SystemConfig | None = None,
    calls: Iterable[str] | None = None,
    timeout: float = 30.0,
) -> RunningExtension:
    """Runs an extension in this process, behind a real lane.

        with extension(outline) as running:
            assert running.call("outline", source="class A: ...")

    Breakpoints, coverage and patches reach its operations, since they run here, on a thread of their own. What it may
    reach of files and network is not held against its manifest; what it may call is.

    Args:
        module: The extension's module, its name, or `"module:attribute"`; or the `Extension` itself.
        config: The `Symphony.toml` of a system that has it, where it calls others of its extensions, which then run in
            processes of their own. Without one, a system of its own, with the manifest beside its module where there is
            one, on a state folder that ends with it.
        calls: What it may call, in the place of what the manifest beside its module grants; where there is no such
            manifest, all of the Pit.
        timeout: Seconds for its start, and the system's.

    Returns:
        The running extension, a context manager: its handle, and the system around it.

    Raises:
        InvalidValueError: There is no extension in the module, or there are several.
        ComponentNotFoundError: The system of `config` has no extension of that name.
        ExtensionError: Its start failed: a hook raised, or the manifest has another name.
        BootError: The system did not come up.
    """
    found, folder = _found(module)
    if not found.operations:
        raise InvalidValueError(f"extension `{found.name}` has no operations")
    place = _Place(found, folder, config, calls)
    runs = _core.InProcessRuns(found.name)
    served = InProcessServer(found.name, lambda: found, runs)
    try:
        starter = Starter(None, config=place.config, timeout=timeout)
        starter.core.serve_in_process(runs)
        system = starter.boot((), None)
        try:
            running = RunningExtension(found, system, served, place)
            running.options(timeout=timeout).activate()
        except BaseException:
            system.shutdown()
            raise
    except BaseException:
        served.close()
        place.remove()
        raise
    return running


class RunningExtension:
    """An extension that runs in this process; made by `extension(…)`.

    Attributes:
        extension: The extension itself.
        system: The system around it: `.pit`, `.bus`, `.kit`.
        handle: Its handle, as `system.kit.extension(name)` gives it.
    """

    def __init__(
        self, extension: Extension, system: System[Any], served: InProcessServer, place: _Place
    ) -> None:
        """Keeps what was brought up."""
        self.extension = extension
        self.system = system
        self._served = served
        self._place = place
        self.handle = system.kit.extension(extension.name)

    @property
    def state(self) -> str:
        """Its state: `ready`, `stopped`, `failed`, …, as of the handle."""
        return self.handle.state

    def operations(self) -> list[str]:
        """The names of its operations."""
        return self.handle.operations() or []

    def call(self, operation: str, /, **inputs: Any) -> Any:
        """Calls an operation and waits for its result, as `ExtensionHandle.call`."""
        return self.handle.call(operation, **inputs)

    async def call_async(self, operation: str, /, **inputs: Any) -> Any:
        """Calls an operation and awaits its result."""
        return await self.handle.call_async(operation, **inputs)

    def call_many(self, operation: str, inputs: Iterable[dict[str, Any]]) -> list[Any]:
        """Calls one operation many times; each result is a value or an exception."""
        return self.handle.call_many(operation, inputs)

    def stream(self, operation: str, /, **inputs: Any) -> _core.Stream:
        """Calls an operation whose values come one by one."""
        return self.handle.stream(operation, **inputs)

    def options(
        self, *, timeout: float | None = None, priority: int | None = None
    ) -> _core.ExtensionHandle:
        """A view of the handle with options for its calls."""
        return self.handle.options(timeout=timeout, priority=priority)

    def client(self, protocol: Callable[..., P]) -> P:
        """A typed client, as `kit.client(name, protocol)`."""
        return self.system.kit.client(self.extension.name, protocol)

    def restart(self) -> None:
        """Stops and starts it, its hooks too; the module stays as it is."""
        self.handle.restart()

    def close(self) -> None:
        """Stops the extension and the system around it. A second time it does nothing.

        Raises:
            ExtensionError: A hook of `on_stop` raised; its traceback is on stderr.
        """
        try:
            self.system.shutdown()
        finally:
            failed = self._served.close()
            self._place.remove()
        if failed:
            raise ExtensionError(
                f"an `on_stop` hook of extension `{self.extension.name}` raised; its traceback is on stderr"
            )

    def __enter__(self) -> RunningExtension:  # noqa: PYI034 - `Self` is not in `typing` before 3.11.
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        """Closes it; what the block raised is not replaced by what its end raises."""
        try:
            self.close()
        except ExtensionError:
            if error is None:
                raise

    def __repr__(self) -> str:
        """Its name and its state."""
        return f"<RunningExtension `{self.extension.name}` {self.state}>"


class _Place:
    """Where the system around the extension is configured, in a folder that ends with it.

    Attributes:
        config: Its configuration.
    """

    def __init__(
        self,
        extension: Extension,
        folder: str | None,
        config: StrPath | SystemConfig | None,
        calls: Iterable[str] | None,
    ) -> None:
        self._folder = tempfile.mkdtemp(prefix="symphony-testing-")
        # Also where nobody closes it.
        self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        state = os.path.join(self._folder, "state")
        if config is not None and calls is not None:
            self.remove()
            raise InvalidValueError("`calls` are those of the manifest where there is a `config`")
        if config is None:
            own = folder if calls is None else None
            path = self._written(extension, own or self._extension(extension, calls))
            self.config = SystemConfig.load(path, state=state)
        else:
            given = as_config(config)
            self.config = SystemConfig(
                given.path,
                state=given.state or state,
                workspace=given.workspace,
                python=given.python,
                members=given.members,
                store=given.store,
                durability=given.durability,
                safe_mode=given.safe_mode,
                without=given.without,
            )

    def _extension(self, extension: Extension, calls: Iterable[str] | None) -> str:
        """A folder with a manifest of the extension."""
        parts = _core.own_parts_by_class().values()
        members = {part.name for part in parts if part.attribute is not None}
        granted = [f"{name}.*" for name in sorted(members)] if calls is None else list(calls)
        folder = os.path.join(self._folder, "extension")
        os.mkdir(folder)
        # The host looks for the module that an entry names; nobody imports it.
        with open(os.path.join(folder, "served.py"), "w", encoding="utf-8"):
            pass
        _write(
            folder,
            "[extension]",
            f"name = {json.dumps(extension.name)}",
            f"version = {json.dumps(extension.version)}",
            'entry = "served:here"',
            f"operations = {json.dumps(list(extension.operations))}",
            "[extension.permissions]",
            f"calls = {json.dumps(granted)}",
        )
        return folder

    def _written(self, extension: Extension, folder: str) -> str:
        name = json.dumps(f"test of {extension.name}")
        return _write(
            self._folder, "[system]", f"name = {name}", f"extensions = [{json.dumps(folder)}]"
        )

    def remove(self) -> None:
        """Removes the folder."""
        self._remove()


def _write(folder: str, *lines: str) -> str:
    path = os.path.join(folder, "Symphony.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path


def _found(module: ModuleType | str | Extension) -> tuple[Extension, str | None]:
    """The extension, and the folder of the manifest beside its module, where there is one."""
    if isinstance(module, Extension):
        return module, None
    attribute = ""
    if isinstance(module, str):
        name, _, attribute = module.partition(":")
        module = importlib.import_module(name)
    elif not isinstance(cast("object", module), ModuleType):
        raise InvalidValueError(
            f"a `{type(module).__name__}` is no extension",
            hints=["give the extension's module, its name, or the `Extension` itself"],
        )
    if attribute:
        found: Any = module
        for part in attribute.split("."):
            found = getattr(found, part)
        every = [found] if isinstance(found, Extension) else []
    else:
        values = vars(module).values()
        every = list({id(one): one for one in values if isinstance(one, Extension)}.values())
    if len(every) != 1:
        what = (
            f"module `{module.__name__}`" if not attribute else f"`{module.__name__}:{attribute}`"
        )
        names = ", ".join(f"`{one.name}`" for one in every)
        raise InvalidValueError(
            f"{what} has several extensions: {names}" if every else f"{what} has no extension",
            hints=["write `module:attribute`"] if every else [],
        )
    folder = os.path.dirname(os.path.abspath(getattr(module, "__file__", None) or ""))
    return every[0], folder if _has_manifest(folder) else None


def _has_manifest(folder: str) -> bool:
    """Whether a folder has the manifest of an extension, lawful or not; a system's is none."""
    try:
        with open(
            os.path.join(folder, "Symphony.toml"), encoding="utf-8", errors="replace"
        ) as file:
            return any(line.lstrip().startswith("[extension") for line in file)
    except OSError:
        return False
