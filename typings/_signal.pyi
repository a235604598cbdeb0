"""What Symphony uses of the module that `signal` wraps in enumerations."""

from collections.abc import Callable
from types import FrameType
from typing import Any, TypeAlias

_Handler: TypeAlias = Callable[[int, FrameType | None], Any] | int | None

SIGINT: int
SIGRTMAX: int
SIGTERM: int
SIGURG: int
SIG_DFL: int

def default_int_handler(number: int, frame: FrameType | None, /) -> Any: ...
def signal(number: int, handler: _Handler, /) -> _Handler: ...
def getsignal(number: int, /) -> _Handler: ...
def pthread_kill(thread: int, number: int, /) -> None: ...
