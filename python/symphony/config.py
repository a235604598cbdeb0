"""`SystemConfig`: where a system's manifest, state and workspace are, and what may be set in its place."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Union

    StrPath = Union[str, os.PathLike[str]]


class SystemConfig:
    """A system's configuration. Its fields mirror `[system]`; one that is `None` is the manifest's.

    Attributes:
        path: The `Symphony.toml`, or `None` for a system without extensions.
        state: The folder of artifacts and journals.
        workspace: The opened project, `${workspace}` in grants.
        python: The interpreter of Python extensions.
        members: The Pit members to start.
        store: What the artifact store keeps, `{"keep": "30d", "cap": "10GiB"}`, either or both.
        durability: What an acknowledged write survives, `"process"` or `"power"`.
        safe_mode: `"auto"`: after two boots in a row of this state that failed, what was starting then is left out.
            `"on"`: no extension starts before its first call. `"off"`: everything starts.
        without: Names of extensions, and of components with `required=False`, that this boot leaves out.
    """

    __slots__ = (
        "durability",
        "members",
        "path",
        "python",
        "safe_mode",
        "state",
        "store",
        "without",
        "workspace",
    )

    def __init__(
        self,
        path: StrPath | None = None,
        *,
        state: StrPath | None = None,
        workspace: StrPath | None = None,
        python: StrPath | None = None,
        members: list[str] | None = None,
        store: Mapping[str, str] | None = None,
        durability: str | None = None,
        safe_mode: str | None = None,
        without: Iterable[str] = (),
    ) -> None:
        """Keeps absolute paths.

        Raises:
            BootError: One is relative, and the working directory was removed.
        """
        self.path = _absolute(path)
        self.state = _absolute(state)
        self.workspace = _absolute(workspace)
        self.python = _absolute(python)
        self.members = members
        self.store = None if store is None else dict(store)
        self.durability = durability
        self.safe_mode = safe_mode
        self.without = [without] if isinstance(without, str) else list(without)

    @classmethod
    def load(
        cls,
        path: StrPath,
        *,
        state: StrPath | None = None,
        workspace: StrPath | None = None,
        safe_mode: str | None = None,
        without: Iterable[str] = (),
    ) -> SystemConfig:
        """The configuration of a `Symphony.toml`; it is read by `boot()`.

        Args:
            path: The manifest.
            state: Another state folder than the manifest's.
            workspace: Another workspace than the manifest's.
            safe_mode: Another word than the manifest's: `"auto"`, `"on"` or `"off"`.
            without: Names of what this boot leaves out.
        """
        return cls(
            path, state=state, workspace=workspace, safe_mode=safe_mode, without=without
        )

    def __repr__(self) -> str:
        """The fields that are set."""
        fields = ((name, getattr(self, name)) for name in ("path", "state", "workspace", "python"))
        return f"SystemConfig({', '.join(f'{name}={value!r}' for name, value in fields if value)})"


def as_config(config: SystemConfig | StrPath) -> SystemConfig:
    """What `boot(config=…)` was given, as a configuration."""
    return config if isinstance(config, SystemConfig) else SystemConfig(config)


def _absolute(path: StrPath | None) -> str | None:
    if path is None:
        return None
    try:
        return os.path.abspath(os.fspath(path))
    except FileNotFoundError as error:
        from symphony.exceptions import BootError

        raise BootError(
            f"`{os.fspath(path)}` is relative to the working directory, and that was removed",
            code="manifest-invalid",
            phase="foundation",
            hints=["give an absolute path, or change to a directory that is there"],
        ) from error
