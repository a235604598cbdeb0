"""The Rust core as Python sees it: what `crates/symphony_py` exports, with types, units and errors.

Every handle may be used from every thread. A call that can wait lets the interpreter go meanwhile, and Ctrl-C ends it.
In a forked child of the process that booted, every handle raises `ForkedError`.
"""

import io
import os
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, Literal, NoReturn, Protocol, TypeVar, final

from _typeshed import SupportsRead
from typing_extensions import Buffer, Self, TypeAlias, disjoint_base

from symphony._boot.container import Container, Live
from symphony._work.async_calls import AsyncValues
from symphony._work.pit import Pit
from symphony.exceptions import BootError, ManifestError, PlanError, SymphonyError
from symphony.records import (
    AuditEntry,
    BudgetViolation,
    ChildRecord,
    Comparison,
    EnforceReport,
    EngineStats,
    Grants,
    Metadata,
    Operation,
    PoolStats,
    ResourceStatus,
    RunState,
    RunStatus,
    SafeModeRecord,
    SavingRecord,
    SpanRecord,
    StoreStats,
    SweepReport,
    VerifyReport,
    Welcome,
)

_StrPath: TypeAlias = str | os.PathLike[str]
_Step: TypeAlias = Literal["start", "health", "stop"]
_Health: TypeAlias = Literal["healthy", "degraded", "unhealthy"]
_Place: TypeAlias = Callable[[], tuple[str | None, int, int]]
_Verdict: TypeAlias = Literal["keep", "archive", "delete"]
_T = TypeVar("_T")

__version__: str

# The Pit ---------------------------------------------------------------------------------------

@final
class ArtifactStore:
    """Content-addressed blobs with names, versions, tags and lineage. What is acknowledged survives `kill -9`.

    Every method raises `StoppedError` after the shutdown, and `SymphonyError` (`state-invalid`) where the disk fails.
    """

    def put(
        self,
        data: str | Buffer | SupportsRead[bytes],
        *,
        name: str | None = None,
        tags: Sequence[str] = ...,
        parents: Sequence[str] = ...,
    ) -> str:
        """Stores bytes; a text is stored as UTF-8. The same bytes are stored once.

        Args:
            data: The bytes, or a file that is open for reading bytes: it is read from where it stands to its end, in
                pieces, and closed by whoever opened it. Where its `read` raises, nothing is stored.
            name: A name, of which this becomes the newest version.
            tags: Added to those that it has.
            parents: The ids of what it was made from; history, so one of them may be gone.

        Returns:
            The id: BLAKE3 of the bytes, 64 hexadecimal digits.

        Raises:
            InvalidValueError: A parent's id is no id.
            TypeError: `data` is neither text nor bytes nor a file of bytes.
        """

    def writer(
        self, *, name: str | None = None, tags: Sequence[str] = ..., parents: Sequence[str] = ...
    ) -> ArtifactWriter:
        """Begins an artifact that is written piece by piece: `with store.writer(name="n") as out: out.write(b"…")`.

        Nothing of it is there before its end, and nothing of it stays where the `with` ends by an exception.

        Args:
            name: As for `put`.
            tags: As for `put`.
            parents: As for `put`.

        Raises:
            InvalidValueError: A parent's id is no id, or that is no lawful name or tag.
        """

    def get(self, id: str) -> bytes:
        """The bytes.

        Raises:
            NotFoundError: There is no such artifact.
            InvalidValueError: That is no id.
        """

    def open(self, id: str) -> ArtifactFile:
        """Opens an artifact as a binary file: `zipfile.ZipFile(store.open(id))`.

        It can be read to its end also when the artifact is deleted meanwhile.

        Raises:
            NotFoundError: There is no such artifact.
            InvalidValueError: That is no id.
        """

    def exists(self, id: str) -> bool:
        """Whether there is such an artifact.

        Raises:
            InvalidValueError: That is no id.
        """

    def metadata(self, id: str) -> Metadata:
        """What is known of an artifact.

        Raises:
            NotFoundError: There is no such artifact.
            InvalidValueError: That is no id.
        """

    def find(self, *, name: str | None = None, tag: str | None = None) -> list[str]:
        """The ids of those that have this name and this tag; without both, of all."""

    def versions(self, name: str) -> list[str]:
        """The ids that had this name, oldest first; empty where nothing had it."""

    def lineage(self, id: str) -> list[str]:
        """The ids of what an artifact was made from, of what that was made from, and so on; also of what is gone.

        The nearest come first.

        Raises:
            NotFoundError: There is no such artifact.
            InvalidValueError: That is no id.
        """

    def derived(self, id: str) -> list[str]:
        """The ids of what was made from an artifact, of what was made from that, and so on; also where it is gone.

        The nearest come first.

        Raises:
            InvalidValueError: That is no id.
        """

    def collect(self) -> int:
        """Gives back to the disk what no artifact uses: dead parts of segments, and files that a killed process left.

        No artifact is deleted, and whoever reads one goes on.

        Returns:
            The bytes that were given back.
        """

    def delete(self, id: str) -> None:
        """Removes an artifact, with its names.

        Raises:
            NotFoundError: There is no such artifact.
            InvalidValueError: That is no id.
        """

    def verify(self) -> VerifyReport:
        """Reads every artifact and compares its bytes with its id."""

    def stats(self) -> StoreStats:
        """Figures."""

    def _door(self) -> None:
        """What every call goes through before its work; for the benchmark."""

    def _nothing(self) -> None:
        """A method that does nothing; for the benchmark."""

@final
class ArtifactFile(io.BufferedIOBase):
    """An artifact that is open for reading: a binary file, as `open(path, "rb")` gives one.

    Every method raises `ValueError` once it was closed, `OSError` where the bytes cannot be read, and `StoppedError`
    after the shutdown. `write`, `writelines`, `truncate`, `fileno` and `detach` raise `io.UnsupportedOperation`.
    """

    @property
    def size(self) -> int:
        """Its length in bytes."""

    def read(self, size: int | None = None, /) -> bytes:
        """The next bytes, at most `size` of them; `None` or negative: all that are left."""

    def read1(self, size: int = ..., /) -> bytes:
        """The bytes that are there without another read of the disk, at most `size`; empty only at the end."""

    def peek(self, size: int = 0, /) -> bytes:
        """The bytes that `read1` would give, without moving."""

    def readinto(self, buffer: Buffer) -> int:
        """Fills a buffer; says how many bytes it got, fewer than it holds only at the end.

        Raises:
            TypeError: The buffer cannot be written.
        """

    def readinto1(self, buffer: Buffer) -> int:
        """As `readinto`, with one read of the disk at most."""

    def readline(self, size: int | None = None, /) -> bytes:
        r"""The bytes up to and with the next `\n`, at most `size`; `for line in file` gives them one by one."""

    def readlines(self, hint: int | None = None, /) -> list[bytes]:
        """The lines that are left; no more once they hold `hint` bytes."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Moves to an offset from the start (0), from here (1) or from the end (2); returns the new position.

        Raises:
            ValueError: A negative offset from the start, or another `whence`.
            OSError: That place is before the start.
        """

    def tell(self) -> int:
        """How far from the start it stands."""

    def readable(self) -> bool:
        """True."""

    def seekable(self) -> bool:
        """True."""

    def writable(self) -> bool:
        """False."""

    def isatty(self) -> bool:
        """False."""

    def flush(self) -> None:
        """Does nothing."""

    def fileno(self) -> int:
        """Always raises: it has no descriptor of its own."""

    def write(self, _data: Buffer, /) -> int:
        """Always raises: an artifact never changes."""

    def writelines(self, _lines: Iterable[Buffer], /) -> None:
        """Always raises: an artifact never changes."""

    def truncate(self, _size: int | None = None, /) -> int:
        """Always raises: an artifact never changes."""

    def detach(self) -> NoReturn:
        """Always raises: there is nothing beneath it."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""

    def close(self) -> None:
        """Lets go of it; may be called twice."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> bytes: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...

@final
class ArtifactWriter(io.BufferedIOBase):
    """An artifact in the making: a binary file that is open for writing and cannot be moved in.

    In a `with` its end decides: stored where the block ended well, dropped where it raised. Without one, `close()`
    stores it. One that is let go of unclosed leaves nothing. Every method raises `ValueError` once it was closed, and
    `StoppedError` after the shutdown. `read`, `seek`, `truncate`, `fileno` and `detach` raise
    `io.UnsupportedOperation`.
    """

    @property
    def id(self) -> str:
        """The artifact's id.

        Raises:
            ValueError: It is not stored yet, or was discarded.
        """

    def write(self, data: Buffer, /) -> int:
        """Adds bytes; returns how many. After one that raised `SymphonyError` nothing can be stored any more.

        Raises:
            TypeError: That is text; `io.TextIOWrapper(writer)` takes it.
        """

    def writelines(self, lines: Iterable[Buffer], /) -> None:
        """Adds one after the other."""

    def tell(self) -> int:
        """How many bytes were written."""

    def readable(self) -> bool:
        """False."""

    def seekable(self) -> bool:
        """False."""

    def writable(self) -> bool:
        """True."""

    def isatty(self) -> bool:
        """False."""

    def flush(self) -> None:
        """Does nothing: nothing of it is there before its end."""

    def fileno(self) -> int:
        """Always raises: it has no descriptor of its own."""

    def read(self, _size: int | None = None, /) -> NoReturn:
        """Always raises."""

    def seek(self, _offset: int, _whence: int = 0, /) -> int:
        """Always raises: it is written from its start to its end."""

    def truncate(self, _size: int | None = None, /) -> int:
        """Always raises: it is written from its start to its end."""

    def detach(self) -> NoReturn:
        """Always raises: there is nothing beneath it."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""

    def close(self) -> None:
        """Ends the writing, and stores what was written unless a `with` is to decide; may be called twice."""

    def discard(self) -> None:
        """Drops what was written; does nothing to what is stored."""

    def __enter__(self) -> Self: ...
    def __exit__(self, kind: object, _error: object, _traceback: object) -> None: ...

@final
class DagTracker:
    """Running graphs: what is ready, completed, failed. A completed node is never ready again, also after a crash.

    Every method that names a run or a node raises `NotFoundError` where there is none, and `InvalidValueError` where
    its state does not allow the move.
    """

    def submit(
        self,
        graph: Mapping[str, Iterable[str]],
        *,
        priority: int = 0,
        soft: Mapping[str, Iterable[str]] | None = None,
        optional: Mapping[str, Iterable[str]] | None = None,
        retries: int | Mapping[str, int] | None = None,
        back_off: float = 0.1,
        timeout: float | Mapping[str, float] | None = None,
        deadline: float | None = None,
        label: str = "",
    ) -> int:
        """Starts a run of a graph; nodes without needs are ready at once.

        Args:
            graph: Each node with the nodes that must be done before it.
            priority: 1000 critical, 100 high, 0 normal, -100 low, -1000 background; larger is served first by `take`.
            soft: Further needs that may end in any way: a node waits until they have ended, and runs also where they
                failed.
            optional: As `soft`, of what need not be in the graph at all.
            retries: How often a node that failed is tried again; or that for single nodes by name.
            back_off: Seconds before the second attempt; they double with each further one, to five minutes at most.
            timeout: Seconds after which a node that was started counts as failed; or that for single nodes by name.
            deadline: Seconds from now after which everything that is not done fails, also after a restart.
            label: Kept with the run and read back with it, for whoever goes on with it after a restart.

        Returns:
            The number of the run; later runs have greater ones, and none is used twice in one state folder.

        Raises:
            InvalidValueError: A need that is no node, a ring, or a time that is no number of seconds. Nothing was
                started.
        """

    def ready(self, run: int, limit: int = 0) -> list[str]:
        """Lists nodes that can run now, at most `limit` (0: all), the one that became ready first in front.

        A node is listed until it is started, completed, failed or skipped.
        """

    def start(self, run: int, node: str | None = None) -> str | None:
        """Starts a node: it is the caller's, and no other caller is given it. After a crash it is ready again.

        Args:
            run: The run.
            node: The node; `None`: the one that became ready first.

        Returns:
            The node; `None` where no name was given and none is ready now.

        Raises:
            InvalidValueError: The node of that name is not ready; somebody else may have started it.
        """

    def take(self, limit: int = 1, timeout: float | None = 0.0) -> list[tuple[int, str]]:
        """Starts the next nodes of all runs, by priority and by how long a run has waited.

        A run gains 10 points of priority a second, so that no stream of urgent runs starves one in the background.

        Args:
            limit: At most so many.
            timeout: Seconds to wait until there is one; `None`: for ever.

        Returns:
            Pairs of run and node, each given to one caller; none where there was none in time.
        """

    def complete(self, run: int, node: str, artifact: str | None = None) -> list[str]:
        """A node is done; returns those that became ready by it.

        Args:
            run: The run.
            node: The node.
            artifact: What it made. It counts as in use while the run is active.

        Raises:
            NotFoundError: There is no such run or node; or the artifact was deleted, and the node is as it was.
        """

    def fail(self, run: int, node: str, reason: str) -> list[str]:
        """A node failed; returns those that are blocked by it.

        Where its run has retries left for it, it waits for its next attempt, and nothing is blocked.
        """

    def skip(self, run: int, node: str, reason: str | None = None) -> list[str]:
        """A node is left out; returns those that became ready by it."""

    def retry(self, run: int, node: str) -> None:
        """A node that failed, or waits for its next attempt, may run again, and those that it blocked too."""

    def cancel(self, run: int) -> None:
        """Ends a run: nothing of it is ready any more."""

    def forget(self, run: int) -> None:
        """Drops a run that has ended from memory and journal."""

    def status(self, run: int) -> RunStatus:
        """Where a run stands, with each of its nodes."""

    def runs(self) -> dict[int, RunState]:
        """The state of every run that is known."""

@final
class PoolManager:
    """Models and workers on lease: warm ones first, least recently used ones evicted under the memory cap."""

    def register(
        self,
        name: str,
        factory: Callable[[], object],
        *,
        size: int,
        memory: int = 0,
        start_timeout: float = 10.0,
        check: Callable[[Any], bool] | None = None,
        check_every: float = 0.0,
        prewarm: bool = False,
    ) -> None:
        """Adds a pool; no worker is made yet.

        Args:
            name: Its name.
            factory: Makes a worker, on the thread that leases it. One that raises costs that lease alone.
            size: How many workers may exist at once, at least 1.
            memory: What one worker takes of the memory cap, in bytes.
            start_timeout: Seconds that the factory may take until whoever waits may have its place. A factory that
                hangs so costs its own lease and not the pool; one that comes back later is used if there is place.
            check: Asked of an idle worker before it is lent: `True`, or `False` for one that must not be used again.
                What it raises means the same and goes to `sys.unraisablehook`. Also asked in the background.
            check_every: Seconds for which a worker that was given back or passed its check is lent unasked.
            prewarm: Workers that are missing by what was lately leased at once are made in the background.

        Raises:
            InvalidValueError: There is one of that name, the size is 0, or a time is no number of seconds.
            OverloadedError: One worker alone is above the memory cap.
        """

    def lease(self, name: str, timeout: float | None = None) -> Lease:
        """The right to one worker: `with pool.lease("model") as worker:`. The wait is in entering it.

        Args:
            name: The pool.
            timeout: Seconds to wait for a free worker; `None`: for ever.

        Raises:
            InvalidValueError: That is no number of seconds.
        """

    def prewarm(self, name: str) -> None:
        """Makes one worker on a daemon thread, where there is room for it.

        What the factory raises goes to `sys.unraisablehook`.

        Raises:
            NotFoundError: There is no such pool.
        """

    def limit(self, memory: int | None) -> None:
        """Sets what all workers may take together, in bytes; `None`: no limit, as at the start.

        Idle workers above it are evicted, the one that was used longest ago first. Leased ones stay, and nothing is
        made until they are fewer.

        Raises:
            OverloadedError: One worker of some pool is alone above it; nothing has changed.
        """

    def _prewarm_now(self, name: str) -> bool: ...
    def stats(self, name: str) -> PoolStats:
        """The figures of a pool.

        Raises:
            NotFoundError: There is no such pool.
        """

@final
class PoolUpkeep:
    """What the thread that keeps the pools has."""

    def keep(self) -> None:
        """Has the pools that are due tended, each on a thread of its own, until the manager is closed."""

    def tend(self, name: str) -> None:
        """Asks the idle workers of a pool, and makes those that are missing."""

@final
class Lease:
    """The right to use one worker while the `with` block lasts."""

    def __enter__(self) -> Any:
        """Waits for a worker, or makes one.

        A lease is entered once; one that was refused or timed out may be tried again.

        Raises:
            NotFoundError: There is no such pool.
            CallTimeoutError: None was free in time.
            InvalidValueError: It was entered before.
            StoppedError: The system was shut down meanwhile.
            Exception: What the factory raised.
        """

    def __exit__(self, *_exception: object) -> None: ...
    def mark_broken(self) -> None:
        """The worker is dropped at the end of the lease, not lent again."""

@final
class ArbitrationEngine:
    """Who gets a scarce thing: by rule, with a reason, and nobody starves."""

    def define(
        self,
        resource: str,
        capacity: int,
        *,
        strategy: Literal["priority", "fair", "queue"] | str = "priority",
        weights: Mapping[str, int] | None = None,
    ) -> None:
        """Adds a resource.

        Args:
            resource: Its name.
            capacity: How much there is, at least 1.
            strategy: `priority`: the greatest first, and each grant to another raises who waits; `fair`: the owner that
                has had least for its weight; `queue`: in the order of asking.
            weights: With `fair`: the weights of owners, at least 1; those that are not named have 1.

        Raises:
            InvalidValueError: There is one of that name, the capacity or a weight is 0, or there is no such strategy.
        """

    def request(
        self,
        resource: str,
        owner: str,
        amount: int = 1,
        *,
        priority: int = 0,
        timeout: float | None = ...,
        lease: float | None = None,
    ) -> Grant:
        """Asks for an amount. To be denied or deferred is an answer, no error.

        Args:
            resource: Of what.
            owner: For whom.
            amount: How much, at least 1.
            priority: 1000 critical, 100 high, 0 normal, -100 low, -1000 background.
            timeout: Seconds to wait; 0: decided at once, `None`: for ever.
            lease: Seconds after which it is taken back unless it is renewed; `None`: it is held until it is released.

        Returns:
            The answer, with its reason. One that would wait for ever, as threads hold what each other wants, is
            deferred at once, and the reason is the ring.

        Raises:
            NotFoundError: There is no such resource.
            InvalidValueError: The amount is 0, or a time is no number of seconds.
            StoppedError: The system was shut down meanwhile.
        """

    def release(self, owner: str) -> int:
        """Gives back all that an owner holds, whoever has the grants; how many grants that were."""

    def status(self) -> dict[str, ResourceStatus]:
        """Where each resource stands, by name."""

    def audit(self) -> list[AuditEntry]:
        """The last 10,000 decisions, oldest first, each with its reason."""

@final
class Grant:
    """The answer to a request: a context manager that gives back what was granted."""

    @property
    def outcome(self) -> Literal["granted", "denied", "deferred"]:
        """Denied: it can never be given; deferred: it was not given in time."""

    @property
    def reason(self) -> str:
        """Why, as a sentence."""

    @property
    def resource(self) -> str:
        """The resource that was asked for."""

    @property
    def owner(self) -> str:
        """For whom it was asked."""

    @property
    def amount(self) -> int:
        """How much was asked for."""

    @property
    def held(self) -> bool:
        """Whether it is held now: granted, and neither released nor taken back at the end of its lease."""

    def renew(self, lease: float | None = None) -> None:
        """Begins the lease anew, from now on.

        Args:
            lease: Its seconds from now on; `None`: as many as before.

        Raises:
            InvalidValueError: It is not held any more, or that is no number of seconds.
        """

    def release(self) -> None:
        """Gives it back; may be called twice."""

    def __enter__(self) -> Self:
        """The grant itself.

        Raises:
            RuntimeError: It was not granted.
        """

    def __exit__(self, *_exception: object) -> None: ...

@final
class StaleManager:
    """What to keep, archive or delete. What is pinned or in use is never touched."""

    def rule(
        self,
        name: str,
        action: _Verdict,
        *,
        older_than: float | None = None,
        unused_for: float | None = None,
        reads_below: int | None = None,
        larger_than: int | None = None,
        tag: str | None = None,
        named: str | None = None,
        quality_below: float | None = None,
        score_below: float | None = None,
    ) -> None:
        """Adds a rule, or replaces the one of its name. The first rule whose conditions all hold decides.

        Args:
            name: Its name.
            action: What is done.
            older_than: Put longer ago than this, in seconds.
            unused_for: Neither put nor read for longer than this, in seconds.
            reads_below: Read fewer times than this.
            larger_than: More bytes than this.
            tag: It has this tag.
            named: One of its names fits this pattern: `*` for any run of characters, `/` too, `?` for one; everything
                else stands for itself.
            quality_below: It has a tag `quality=…` with less than this.
            score_below: Its score, from 0 to 1, is less than this: half of it says how lately it was used, the rest how
                often and how good it is, and large ones are worth less.

        Raises:
            InvalidValueError: There is no such action, a number is none, or it would delete everything.
        """

    def evaluate(self, id: str) -> _Verdict:
        """What the rules say of an artifact.

        Raises:
            NotFoundError: There is no such artifact.
            InvalidValueError: That is no id.
        """

    def explain(self, id: str) -> str:
        """Why: the rule and what of it holds.

        Raises:
            NotFoundError: There is no such artifact.
            InvalidValueError: That is no id.
        """

    def pin(self, id: str) -> None:
        """Keeps an artifact whatever the rules say, also after a restart.

        Raises:
            NotFoundError: There is no such artifact.
            InvalidValueError: That is no id.
        """

    def unpin(self, id: str) -> None:
        """Lets the rules decide again.

        Raises:
            InvalidValueError: That is no id.
        """

    def sweep(
        self,
        *,
        dry_run: bool = False,
        explain: bool = False,
        limit: int | None = None,
        rate: float | None = None,
    ) -> SweepReport:
        """Judges every artifact and does what the rules say, on the calling thread.

        Args:
            dry_run: Only tell it.
            explain: Say in `reasons` of the report why, for each artifact that is touched or that only a pin or a run
                keeps from it.
            limit: At most so many are archived or deleted; `None`: all.
            rate: At most so many a second; `None`: as fast as it goes.

        Raises:
            InvalidValueError: The rate is no number above 0.
        """

    def enforce(
        self, *, keep: float | None = None, cap: int | None = None, dry_run: bool = False
    ) -> EnforceReport:
        """Archives and deletes now what `[system.store]` does not keep. A system does this by itself.

        What was not used for as long as `keep` says is archived, after as long again deleted; beyond `cap` the least
        valuable is deleted. What is pinned, held by a run or kept by a rule stays.

        Args:
            keep: Seconds, in the place of what the system says.
            cap: Bytes, in the place of what the system says.
            dry_run: Only tell it.

        Raises:
            InvalidValueError: `keep` is no number of seconds above 0.
        """

# The bus ---------------------------------------------------------------------------------------

@final
class IpcBus:
    """The bus: topics that extensions and this process share."""

    def topic(self, name: str) -> Topic:
        """The topic of that name; it exists by being asked for."""

    def loan(self, length: int) -> bytearray:
        """A writable buffer of that many bytes, to be published.

        Raises:
            InvalidValueError: It is negative or more than 4 GiB.
            MemoryError: There is not that much.
        """

@final
class Topic:
    """A topic of the bus."""

    @property
    def name(self) -> str:
        """Its name."""

    def publish(self, value: Any) -> int:
        """Publishes a value to every subscriber.

        Returns:
            How many values were dropped for want of room.

        Raises:
            TypeError: The value is of no type that can be sent.
        """

    def subscribe(
        self,
        *,
        policy: Literal["block", "drop_oldest", "latest", "reject"] | str = "drop_oldest",
        capacity: int = ...,
    ) -> Subscription:
        """Subscribes: an iterator, sync and async.

        Args:
            policy: What happens to a value for which there is no room: its publisher waits, the oldest one goes, only
                the newest is kept, or it is refused.
            capacity: How many values may wait.

        Raises:
            InvalidValueError: There is no such policy.
        """

@final
class Subscription:
    """Where the values of a topic wait for one reader; a context manager that unsubscribes."""

    @property
    def dropped(self) -> int:
        """How many values were dropped here so far."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Any:
        """Waits for the next value; ends when it is closed."""

    def __aiter__(self) -> AsyncValues:
        """The same values for `async for`; a wait that is cancelled or times out loses none."""

    def _take(self) -> tuple[Any, ...] | None:
        """The next value as a tuple of one, an empty tuple at the end, `None` where it has to be waited for."""

    def _watch(self, completions: Completions, token: int) -> bool:
        """Has the loop told once that it is worth looking again; false when it is now."""

    def _unwatch(self, token: int) -> None:
        """The loop waits no more."""

    def get(self, timeout: float | None = None, default: _T | None = None) -> Any | _T | None:
        """The next value, or `default` when none came in time.

        Args:
            timeout: Seconds; `None`: for ever.
            default: What stands for no value.
        """

    def close(self) -> None:
        """Unsubscribes; a loop over it ends."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...

# Extensions and Melodies -----------------------------------------------------------------------

@final
class LogFollower:
    """One system's share in what the core and the extensions say."""

    def __init__(self) -> None: ...
    def take(self, timeout: float | None = None) -> list[tuple[int, str, str, float]] | None:
        """Waits for lines: level, logger, text, seconds since 1970.

        Args:
            timeout: Seconds after which the list is empty; `None` waits for ever.

        Returns:
            The lines, or `None` when the system has ended.
        """

    def settle(self) -> None:
        """Waits a moment until what was said so far was handed on."""

    def drained(self) -> None:
        """Says that the thread which takes has nothing more to do."""

    def close(self) -> None:
        """Ends it, and waits a moment until the last lines were handed on."""

@final
class Stream:
    """The values of a streamed result. Closed or dropped before its end, it cancels the call."""

    def __iter__(self) -> Stream:
        """Itself."""

    def __next__(self) -> Any:
        """The next value; raises as `ExtensionHandle.call`; `CallTimeoutError` also where none is taken for minutes."""

    def __aiter__(self) -> AsyncValues:
        """The same values for `async for`; a wait that is cancelled or times out loses none."""

    def _take(self) -> tuple[Any, ...] | None:
        """The next value as a tuple of one, an empty tuple at the end, `None` where it has to be waited for."""

    def _watch(self, completions: Completions, token: int) -> bool:
        """Has the loop told once that it is worth looking again; false when it is now."""

    def _unwatch(self, token: int) -> None:
        """The loop waits no more."""

    def close(self) -> None:
        """Ends it: the call is cancelled, a loop over it ends."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(self, *_exception: object) -> None:
        """Closes it."""

@final
class ExtensionHandle:
    """An extension, by which it is called: the same for one in a process of its own and for a library in this one."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def state(
        self,
    ) -> Literal[
        "installed",
        "loading",
        "ready",
        "stopping",
        "stopped",
        "failed",
        "restarting",
        "quarantined",
    ]:
        """Where it stands."""

    @property
    def pid(self) -> int | None:
        """The number of its process, while it has one of its own."""

    def operations(self) -> list[str] | None:
        """The names of its operations; `None` while they are not known."""

    def schema(self) -> dict[str, dict[str, Any]]:
        """JSON Schemas of its operations, by their names; starts the extension where it does not run.

        Returns:
            For each operation `input`, the schema of the object that its inputs are; `output`, that of its result,
            where that is known (of a stream the list of its values); `description`, its docstring;
            `stream`, whether its values come one by one; `title` and `annotations`, where an MCP server gives them.

        Raises:
            ExtensionError: It cannot be started.
        """

    def _described(self) -> list[tuple[str, list[tuple[str, bool]], bool, str]] | None:
        """Its operations as the handshake has them: name, inputs and which are needed, whether a stream, doc."""

    def call(self, operation: str, /, **inputs: Any) -> Any:
        """Calls an operation and waits for its result; starts the extension where it does not run.

        Raises:
            RemoteError: The operation raised.
            CallTimeoutError: There was no answer by the deadline of `options(timeout=…)`.
            ExtensionCrashedError: Its process ended.
            OverloadedError: Its queue is full.
            QuarantinedError: It crashed too often.
            UnknownOperationError: It has no such operation.
            StoppedError: The system was shut down.
            TypeError: An input is of no type that can be sent.
        """

    def stream(self, operation: str, /, **inputs: Any) -> Stream:
        """Calls an operation whose values come one by one; `call` gives them as a list. Raises as `call`.

        In an event loop it does not wait: where the extension has to be started, the first value, or why there is none,
        comes after that.
        """

    def call_async(self, operation: str, /, **inputs: Any) -> Coroutine[Any, Any, Any]:
        """Calls an operation; awaits its result. Raises as `call`."""

    def _submit(
        self,
        completions: Completions,
        token: int,
        operation: str,
        inputs: dict[str, Any],
        timeout: float | None,
        priority: int,
    ) -> PendingCall:
        """Sends a call whose result goes to an event loop."""

    def call_many(self, operation: str, inputs: Iterable[dict[str, Any]]) -> list[Any]:
        """Calls one operation many times at once.

        Returns:
            For each of the inputs, in their order, its value or its exception.

        Raises:
            TypeError: An input is of no type that can be sent.
        """

    def options(
        self, *, timeout: float | None = None, priority: int | None = None
    ) -> ExtensionHandle:
        """A view of this handle with options for its calls.

        Args:
            timeout: Seconds until a call is given up.
            priority: Greater ones first.

        Raises:
            ValueError: That is no number of seconds.
        """

    def activate(self) -> None:
        """Starts it where it does not run, and waits until it is ready. Raises as `call`."""

    def restart(self) -> Awaitable[None]:
        """Stops it and starts it anew, also out of quarantine; waits until it is ready. Raises as `call`.

        In an event loop it does not wait: the restart begins, and `await handle.restart()` waits for its end. Whoever
        stops waiting does not stop it.
        """

    def _restart(self, completions: Completions, token: int) -> None:
        """Begins a restart whose end goes to an event loop."""

@final
class PendingCall:
    """A call on its way to an event loop."""

    def cancel(self) -> None:
        """Gives the call up."""

@final
class Completions:
    """The results for one event loop, behind one descriptor that it watches."""

    def __new__(cls) -> Self: ...
    @property
    def descriptor(self) -> int:
        """What the loop watches for reading."""

    def drain(self) -> list[tuple[int, Any, BaseException | None]]:
        """What arrived: token, value, exception."""

@final
class Kit:
    """The core of `OrchestraKit`."""

    def extension(self, name: str) -> ExtensionHandle:
        """The handle of an extension.

        Raises:
            ComponentNotFoundError: The catalogue has none of that name.
        """

    def extensions(self) -> list[str]:
        """The names of all extensions, sorted."""

    def operations(self, name: str) -> list[str] | None:
        """The operations that are known without starting it; `None` where they are not."""

    def version(self, name: str) -> tuple[str, str]:
        """The version that has the name of an extension, and its folder.

        Raises:
            ComponentNotFoundError: The catalogue has none of that name.
        """

    def grants(self, name: str) -> Grants:
        """What the manifest of an extension grants.

        Raises:
            ComponentNotFoundError: The catalogue has none of that name.
        """

    def enforcement(self, name: str) -> list[tuple[str, str]]:
        """Each permission of an extension and how far it is enforced.

        Raises:
            ComponentNotFoundError: The catalogue has none of that name.
        """

    def policy_port(self, chooses: bool, observes: bool) -> PolicyPort | None:
        """The port of the conductor thread; `None` when it was taken before."""

    def submit(self, melody: Melody | _StrPath, inputs: dict[str, Any], priority: int) -> Run:
        """Starts a Melody.

        Raises:
            MelodyError: It cannot be read or is at fault, or an input is missing.
            StoppedError: The system was shut down.
            TypeError: An input is of no type that can be sent.
        """

    def run(self, forever: bool) -> tuple[int, int, int, float]:
        """Waits until nothing is left to do, or for ever: count, ok, failed, seconds."""

    def summary(self) -> tuple[int, int, int, float]:
        """What ended since the last summary: count, ok, failed, seconds."""

    def stats(self) -> EngineStats:
        """Totals of the engine since its start."""

@final
class Melody:
    """A Melody: nodes that call operations, and the graph that their inputs make."""

    def __new__(cls, path: _StrPath) -> Self:
        """Reads it from its file, TOML or JSON.

        Raises:
            MelodyError: It cannot be read, or its graph is wrong; all faults at once.
        """

    @staticmethod
    def from_text(text: str, name: str = "melody.toml") -> Melody:
        """Reads it from a text; `name` stands for its file in errors.

        Raises:
            MelodyError: Its graph is wrong; all faults at once.
        """

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def inputs(self) -> list[str]:
        """The names of its inputs."""

    @property
    def nodes(self) -> list[str]:
        """The ids of its nodes."""

    @property
    def calls(self) -> list[str]:
        """What its nodes call, in their order: `extension.operation` or `member.operation`."""

@final
class Run:
    """A Melody that was submitted."""

    @property
    def id(self) -> int:
        """Later runs have greater numbers."""

    @property
    def state(self) -> Literal["running", "done", "failed", "cancelled"]:
        """Where it stands."""

    @property
    def melody(self) -> str:
        """The name of its Melody."""

    @property
    def seconds(self) -> float:
        """Seconds that it took, or has been running."""

    @property
    def progress(self) -> tuple[int, int]:
        """Nodes that are done or skipped, of how many."""

    @property
    def nodes(self) -> list[NodeRecord]:
        """What became of each node, in the Melody's order; empty while it runs."""

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        """Waits for the value of each node, by its id; a skipped node's is `None`.

        Args:
            timeout: Seconds; `None`: for ever.

        Raises:
            CallTimeoutError: It was not done in time; it goes on.
            SymphonyError: The error of the first node that failed.
        """

    def __await__(self) -> Generator[Any, None, dict[str, Any]]:
        """As `result()`, for a coroutine: `await run`. Whoever stops waiting does not stop the run."""

    def _watch(self, completions: Completions, token: int) -> bool:
        """Has the loop told once when it has ended; false when it has."""

    def _unwatch(self, token: int) -> None:
        """The loop waits no more."""

    def cancel(self) -> None:
        """Cancels it: nothing of it starts any more."""

@final
class NodeRecord:
    """What became of one node of a run, from `Run.nodes`."""

    @property
    def id(self) -> str:
        """The node's id."""

    @property
    def call(self) -> str:
        """The operation that it calls."""

    @property
    def state(self) -> Literal["done", "skipped", "failed", "cancelled", "unused"]:
        """Where it stood at the end; `unused`: it was never called."""

    @property
    def seconds(self) -> float:
        """Seconds of its last call."""

    @property
    def attempts(self) -> int:
        """How often it was called."""

    @property
    def value(self) -> Any:
        """Its value, or that of its stand-in, where it is done, also of a run that failed; else `None`."""

    @property
    def error(self) -> SymphonyError | None:
        """Why its last call failed, also where the run went on without it."""

@final
class ReadyNode:
    """A node that could run now, as `Conductor.choose` gets it."""

    @property
    def run(self) -> int:
        """Its run; later runs have greater numbers."""

    @property
    def node(self) -> str:
        """Its id."""

    @property
    def extension(self) -> str:
        """The extension, or the Pit member, that it calls."""

    @property
    def operation(self) -> str:
        """The operation that it calls."""

    @property
    def priority(self) -> int:
        """Its run's."""

    @property
    def age(self) -> float:
        """Seconds that its run has been there."""

    @property
    def remaining(self) -> int:
        """Nodes of its run that are not done."""

    @property
    def path(self) -> int:
        """Nodes on the longest way from it to its run's end."""

    @property
    def warm(self) -> bool:
        """Whether the extension runs already."""

    @property
    def queue(self) -> int:
        """Calls that wait at the extension."""

@final
class Outcome:
    """What became of one node, as `Conductor.observe` gets it."""

    @property
    def run(self) -> int:
        """Its run."""

    @property
    def node(self) -> str:
        """Its id."""

    @property
    def extension(self) -> str:
        """The extension, or the Pit member, that it called."""

    @property
    def operation(self) -> str:
        """The operation that it called."""

    @property
    def seconds(self) -> float:
        """How long the call took."""

    @property
    def ok(self) -> bool:
        """Whether it ended well."""

@final
class PolicyPort:
    """Where the conductor thread waits."""

    def next(
        self,
    ) -> tuple[Literal["choose"], list[ReadyNode]] | tuple[Literal["observe"], Outcome] | None:
        """Waits for a question or an outcome; `None` when the engine has ended."""

    def answer(self, chosen: ReadyNode | Iterable[ReadyNode]) -> None:
        """Answers the last question with nodes in order of preference, or with one node.

        Raises:
            TypeError: Something else was chosen.
        """

    def failed(self) -> None:
        """The Conductor raised: the engine decides by itself."""

# The boot --------------------------------------------------------------------------------------

@final
class OwnPart:
    """A part of Symphony that has a handle in Python."""

    @property
    def name(self) -> str:
        """Its component's name."""

    @property
    def attribute(self) -> str | None:
        """The attribute of `Pit` that has it, where it is a member."""

    @property
    def phase(self) -> str:
        """The phase in which it starts."""

    @property
    def label(self) -> str:
        """What people call it."""

@final
class Boot:
    """One boot, driven from `symphony/_boot/starter.py`."""

    def __new__(
        cls,
        *,
        path: str | None = None,
        state: str | None = None,
        workspace: str | None = None,
        python: str | None = None,
        members: list[str] | None = None,
        store: dict[str, str] | None = None,
        durability: str | None = None,
        safe_mode: str | None = None,
        without: list[str] = ...,
        supervisor: list[str] = ...,
        foreign_python: list[str] = ...,
        own_python: list[str] = ...,
        timeout: float | None,
        abort_on_hang: bool,
        stepwise: bool,
    ) -> Self:
        """Starts the supervisor and reads the manifests.

        Raises:
            ManifestError: They are at fault; all faults at once.
            InvalidValueError: The timeout is no number of seconds.
        """

    @property
    def keeper(self) -> Keeper:
        """The door of the keeper thread."""

    @property
    def calling(self) -> JobQueue:
        """The steps that belong to the calling thread."""

    @property
    def events(self) -> EventQueue:
        """The boot's events."""

    def replace(self, key: str) -> None:
        """A component of the core is overridden: it is not started."""

    def faults(self, faults: Sequence[Diagnostic]) -> None:
        """Faults that Python found; told together with those of the plan."""

    def add(self, live: Live, spec: ComponentSpec, conductor: bool) -> Slot:
        """Registers a Python component; gives the place in which another object may take over."""

    @property
    def has_late(self) -> bool:
        """Whether a component that was registered has a late need."""

    def add_late_binding(self, container: Container) -> None:
        """Registers the component that binds late edges, after all that they connect."""

    def newcomer_faults(
        self, specs: Sequence[ComponentSpec], place: int, called: str, is_up: bool
    ) -> list[Diagnostic]:
        """What the planner has against the component at that place, which comes to all others later."""

    def inject(self, plan: FaultPlan) -> None:
        """Has steps go wrong on purpose; to be called before `start()`."""

    def serve_in_process(self, runs: InProcessRuns) -> None:
        """Has an extension served in this process; to be called before `start()`."""

    def start(self) -> None:
        """Plans, and starts the engine's thread; a fault of the plan is raised by `result()`."""

    def outside_begun(self, name: str) -> int:
        """Work on the calling thread that is no component's step begins; returns its token."""

    def outside_ended(self, token: int) -> None:
        """It ended: before `start()` it is the plan that has waited for it, afterwards the Conductor."""

    def outside_failed(self, name: str, error: BaseException) -> None:
        """It raised: the boot is rolled back, and raises this."""

    def interrupt(self, error: BaseException) -> None:
        """Ctrl-C or SIGTERM: rolls back, and `result()` raises it."""

    def cancel(self) -> None:
        """Ends a boot that its caller cannot carry on."""

    def advance(self, phase: str) -> bool:
        """Lets a stepwise boot go on through a phase; false when the boot ended without it."""

    def handed(self) -> Running | None:
        """The system that `result()` gave, once more, and never again: its taker has it, or ends it."""

    def result(self, relocate: Callable[[], Any]) -> Running:
        """The running system; to be called after the calling thread's queue has ended.

        Raises:
            BootError: There is none.
        """

    def bus(self) -> IpcBus:
        """The bus, once its phase has passed.

        Raises:
            ComponentNotFoundError: It was not started.
        """

    def member(self, name: str) -> Any | None:
        """The handle of a Pit member that was started, else `None`."""

    def member_seat(self, name: str) -> MemberSeat | None:
        """The place of a Pit member, in which something else may be swapped; `None` where there is no such member."""

    def kit(self) -> Kit:
        """The Orchestra Kit, once its phase has passed.

        Raises:
            ComponentNotFoundError: It was not started.
        """

@final
class Running:
    """A system that is up."""

    def report(self) -> BootReport:
        """How the boot went."""

    def begin_health(self, timeout: float) -> PendingHealth:
        """Begins to ask every component how it is, for so many seconds each."""

    @property
    def stopping(self) -> bool:
        """Whether the shutdown was begun."""

    def begin_shutdown(self, timeout: float) -> PendingShutdown | None:
        """Begins the shutdown, of so many seconds; `None` when it was begun before and has ended.

        Waiting for that, it handles signals.

        Raises:
            InvalidValueError: They are negative or no number; nothing was stopped.
        """

@disjoint_base
class Health:
    """How a component is: return one from `health()`."""

    def __new__(cls, state: str = "healthy", reason: str | None = None) -> Self:
        """Keeps both.

        Raises:
            ValueError: `state` is none of the three words.
        """

    @property
    def state(self) -> _Health:
        """`healthy`, `degraded` or `unhealthy`."""

    @property
    def reason(self) -> str | None:
        """Why, for people."""

    @classmethod
    def degraded(cls, reason: str) -> Self:
        """It works, with less than it should have."""

    @classmethod
    def unhealthy(cls, reason: str) -> Self:
        """It does not work."""

    def __hash__(self) -> int:
        """Of state and reason."""

    def __reduce__(self) -> tuple[type[Self], tuple[str, str | None]]:
        """Copies and pickles are made of both."""

    def _repr_html_(self) -> str:
        """What a notebook shows."""

@final
class SystemHealth:
    """How a whole system is."""

    @property
    def state(self) -> _Health:
        """`unhealthy` when a required component is; `degraded` when any other is not healthy; else `healthy`."""

    @property
    def reason(self) -> str | None:
        """Which component made it so, and its reason; None of a healthy system."""

    @property
    def components(self) -> dict[str, Health]:
        """The health of each component, by name.

        One that the boot went on without is `unhealthy`, and so is one that did not answer in time.
        """

    def _repr_html_(self) -> str:
        """What a notebook shows: the state of each component, what is not healthy first."""

@final
class Holder:
    """Somebody who still holds an object that was taken out.

    Attributes:
        place: `file:line` of what holds it.
        what: What that is.
        edit: What to write instead, so that the next swap reaches it.
        consumer: The component that keeps it, where it is one of the system's.
    """

    def __new__(cls, place: str, what: str, edit: str, consumer: str | None = None) -> Self: ...
    @property
    def place(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def edit(self) -> str: ...
    @property
    def consumer(self) -> str | None: ...
    def __iter__(self) -> Iterator[str]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __lt__(self, other: Holder, /) -> bool: ...
    def __le__(self, other: Holder, /) -> bool: ...
    def __gt__(self, other: Holder, /) -> bool: ...
    def __ge__(self, other: Holder, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Sites:
    """Every place that holds one object which was injected, ready to be rewritten."""

    @staticmethod
    def find(container: Container, live: Live, shown: Any, consumers: Iterable[Live]) -> Sites:
        """Finds every place that holds the object which consumers see of a component."""

    @staticmethod
    def find_again(
        container: Container,
        before: Sequence[tuple[Live, str]],
        live: Live,
        shown: Any,
        consumers: Iterable[Live],
    ) -> Sites:
        """Finds the places that were found once, whatever they hold now, and those that hold the object since."""

    def add_pit(self, pit: Pit, shown: Any) -> None:
        """Adds the attributes of the Pit's handle that hold it."""

    @property
    def attributes(self) -> list[tuple[Live, str]]:
        """Consumer and name of each attribute."""

    @property
    def rewritten(self) -> list[tuple[str, str]]:
        """Consumer and attribute of each site, in words."""

    @property
    def handles(self) -> int:
        """How many handles hold it."""

    def fixed(self, shown: Any) -> list[str]:
        """The attributes that nothing can rewrite; what is there is put there again."""

    def put(self, old: Any, new: Any) -> None:
        """Rewrites all places; where one refuses, every one has the old object again.

        Raises:
            Exception: What a consumer's own `__setattr__` raised.
        """

    def restore(self, shown: Any, value: Any) -> None:
        """Rewrites every place that lets itself be rewritten.

        Raises:
            Exception: What the first consumer whose own `__setattr__` refused it raised.
        """

def refresh(container: Container, live: Live) -> None:
    """What was injected into a component that is about to come may have been swapped while it was built."""

def is_shared(value: Any) -> bool:
    """Whether a value is shared by whoever writes the same one: identity alone does not say that it was injected."""

def wait_drained(live: Live, others: list[Any], seconds: float, idle: Callable[[], bool]) -> bool:
    """Waits until nobody can call the object of a component that was taken out.

    Args:
        live: The component.
        others: The other components' objects; what they refer to is not this one's own.
        seconds: How long at most.
        idle: Whether no call is known to be in progress.
    """

def wait_for_calls(instance: Any, seconds: float) -> None:
    """Waits until no other thread is inside a call of the object."""

def tell_holders(report: SwapReport, live: Live, label: str, consumers: list[Live]) -> None:
    """Adds to a report who holds the object of a component that was taken out.

    Args:
        report: The report of the swap.
        live: The component.
        label: How its type is written.
        consumers: The components that may hold it.
    """

@final
class SwapReport:
    """What a swap did; its `str()` is its whole text.

    Attributes:
        component: The component's, member's or extension's name.
        old: The class of what was taken out; of an extension its version and folder.
        new: The class of what took its place; of an extension its version and folder.
        handles: How many handles were rewritten.
        drained: Whether nobody holds it any more. If not, it is left running and stopped with the system.
        stop_error: What its stop raised.
        seconds: How long all of it took.
    """

    component: str
    old: str
    new: str
    handles: int
    drained: bool
    stop_error: BaseException | None
    seconds: float

    def __new__(
        cls,
        component: str,
        old: str,
        new: str,
        rewritten: Sequence[tuple[str, str]] = ...,
        handles: int = 0,
    ) -> Self:
        """What is known once the sites are rewritten."""

    @property
    def rewritten(self) -> tuple[tuple[str, str], ...]:
        """Consumer and attribute of each injection site that was rewritten."""

    @property
    def holders(self) -> tuple[Holder, ...]:
        """Who still holds the old object, with `file:line` and the edit; empty when it is drained."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What else there is to know: what was stopped with it, what the new one lacks."""

    def _repr_html_(self) -> str:
        """What a notebook shows: who was reached, and who still holds the old one."""

@final
class VariantReport:
    """What one variant did."""

    @property
    def share(self) -> float:
        """Its share of the calls, as asked for."""

    @property
    def calls(self) -> int:
        """How many calls it had."""

    @property
    def errors(self) -> int:
        """How many of them raised."""

    @property
    def p50(self) -> float | None:
        """The median of the last calls' seconds; `None` before the first."""

    @property
    def p90(self) -> float | None:
        """Their 90th percentile."""

    @property
    def p95(self) -> float | None:
        """Their 95th percentile."""

    @property
    def p99(self) -> float | None:
        """Their 99th percentile."""

@final
class ExperimentReport:
    """What the variants of an experiment did; its `str()` is its whole text."""

    def __new__(cls, component: str, variants: Sequence[tuple[str, float, CallCounts]]) -> Self:
        """Takes the name, the share and the calls of each."""

    @property
    def component(self) -> str:
        """The component's name."""

    @property
    def variants(self) -> dict[str, VariantReport]:
        """A report of each variant, by name."""

    def __getitem__(self, name: str, /) -> VariantReport:
        """The report of one variant."""

    def _repr_html_(self) -> str:
        """What a notebook shows: the figures of each variant."""

@final
class CallBegun:
    """The moment at which a call began."""

@final
class CallCounts:
    """The calls that one variant of a component had."""

    def __new__(cls) -> Self:
        """No call was made yet."""

    def begun(self) -> CallBegun:
        """A call begins; it ends with what this gives."""

    def ended(self, begun: CallBegun, failed: bool) -> None:
        """A call ended."""

    def is_idle(self) -> bool:
        """Whether no call is inside it."""

def shares_of(variants: Mapping[str, Any], split: Mapping[str, float] | None) -> dict[str, float]:
    """The share of each variant; weights are made to sum to one.

    Raises:
        InvalidValueError: They are none.
    """

@final
class PendingHealth:
    """A health question on its way."""

    @property
    def calling(self) -> JobQueue:
        """The steps that belong to the asking thread, until this has ended."""

    def result(self) -> SystemHealth:
        """How the system is."""

@final
class PendingShutdown:
    """A shutdown on its way."""

    @property
    def calling(self) -> JobQueue:
        """The steps that belong to the asking thread, until this has ended."""

    @property
    def ended(self) -> bool:
        """Whether it has ended."""

    def result(self) -> list[str]:
        """What did not stop as it should."""

@final
class Diagnostic:
    """One fault that a person can act on: the same for `boot()`, `check` and the manifest reader."""

    def __new__(
        cls,
        code: str,
        message: str,
        *,
        severity: str | None = None,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        path: Iterable[str] | None = None,
        hint: str | None = None,
        related: Iterable[tuple[str | None, int | None, int | None, str]] | None = None,
    ) -> Self:
        """Keeps the fields; a line or column of 0 is not known, and `None` here.

        Raises:
            InvalidValueError: There is no such code or severity.
        """

    @property
    def code(self) -> str:
        """Its stable word."""

    @property
    def severity(self) -> str:
        """`error`, `warning` or `note`; only an error makes a check fail."""

    @property
    def message(self) -> str:
        """What is wrong: a lowercase fragment, names in backticks, no full stop."""

    @property
    def file(self) -> str | None:
        """The absolute path of the file in which a person wrote it."""

    @property
    def line(self) -> int | None:
        """The line, from 1."""

    @property
    def column(self) -> int | None:
        """The column in characters, from 1."""

    @property
    def path(self) -> list[str]:
        """The ring or chain of names, each once."""

    @property
    def hint(self) -> str | None:
        """What to do."""

    @property
    def related(self) -> list[tuple[str | None, int | None, int | None, str]]:
        """The places of the edges, as (file, line, column, text)."""

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> Diagnostic:
        """The diagnostic of a dictionary of its fields."""

    def to_dict(self) -> dict[str, Any]:
        """The keys that `symphony check --json` promises."""

    def text(self, directory: str | None = None, *, hint: bool = True, prefix: bool = True) -> str:
        """The whole text.

        Args:
            directory: Places inside it are printed relative to it.
            hint: Whether the hint ends the text.
            prefix: Whether the severity begins it.
        """

    def __reduce__(self) -> tuple[Any, tuple[dict[str, Any]]]:
        """Copies and pickles are made of its fields."""

    __hash__: None  # type: ignore[assignment]

@final
class NeedSpec:
    """One edge: a parameter asks for a key.

    Attributes:
        key: What it asks for: a type, or its qualified name where only the source was read.
        file: The file of the parameter, with its line and column (0: not known yet).
        default: It has a default: where the key is absent the parameter is left out of the call.
        positional: It can only be given by position.
        fits: The class of a component that has all that the key asks for, and does not provide it.
        is_class: The key is a class of the user's, which could be registered.
    """

    key: Any
    file: str | None
    line: int
    column: int
    default: bool
    positional: bool
    fits: str | None
    is_class: bool

    def __new__(
        cls,
        parameter: str,
        key: Any,
        kind: str,
        handle: bool,
        named: str | None,
        file: str | None,
        line: int,
        column: int = 0,
    ) -> Self:
        """Keeps the fields.

        Raises:
            InvalidValueError: There is no such kind.
        """

    @property
    def parameter(self) -> str:
        """The parameter that asks."""

    @property
    def kind(self) -> Literal["one", "optional", "every", "late"]:
        """How it asks."""

    @property
    def handle(self) -> bool:
        """It gets the handle and not the object."""

    @property
    def named(self) -> str | None:
        """Only the provider of this name will do."""

@final
class ComponentSpec:
    """One component, before anything of it runs. A word that is none of its set is an `InvalidValueError`.

    Attributes:
        name: Its name in errors, events and the report.
        named: A person gave that name with `name=`.
        target: What is called; for the kind `instance`, the instance.
        kind: `class`, `function`, `generator`, `async-function`, `async-generator` or `instance`; `member` of the Pit.
        module: The module that defines it, with its `qualname` there.
        made: The type of the object that it makes, where that is said; its qualified name where only the source was
            read.
        provides: Its keys.
        needs: Its edges.
        phase: The phase in which it starts.
        timeout: Its own deadline in seconds.
        required: Its failure fails the boot.
        main_thread: Its steps run on the thread that calls.
        entered: What it makes is entered where others start.
        may_be_none: Its factory says that it may make none.
        start: `sync`, `async` or nothing; so are `health` and `stop`.
        file: Where it was written, with its line and column (0: not known yet).
    """

    name: str
    named: bool
    target: Any
    kind: str
    module: str
    qualname: str
    made: Any
    provides: list[Any]
    needs: list[NeedSpec]
    phase: str
    timeout: float | None
    required: bool
    main_thread: bool
    entered: bool
    may_be_none: bool
    start: str
    health: str
    stop: str
    file: str | None
    line: int
    column: int

    def __new__(cls, name: str, target: Any, kind: str, module: str, qualname: str) -> Self:
        """A required component of the last phase that needs and provides nothing yet."""

    @property
    def thread(self) -> Literal["calling", "own", "shared"]:
        """Where its steps run: on a thread of its own if there are some after its construction."""

    @property
    def is_async(self) -> bool:
        """Whether one of its steps is."""

def stand_in(specs: list[ComponentSpec], key: Any, spec: ComponentSpec) -> list[str]:
    """Puts a replacement into the place of what provides a key, under all keys of that.

    Returns:
        The names of those of Symphony's own parts that it stands in for.
    """

@final
class Signature:
    """What a method may be called with, without `self`."""

    def __new__(
        cls,
        positional: Sequence[tuple[str, bool, bool]],
        keywords: Sequence[tuple[str, bool]],
        star: bool,
        stars: bool,
    ) -> Self:
        """Keeps them.

        Args:
            positional: For each its name, whether it has a default, whether it is positional only.
            keywords: The keyword-only ones, and whether each has a default.
            star: It takes `*args`.
            stars: It takes `**kwargs`.
        """

    @staticmethod
    def of(function: Any, dropped: int) -> Signature | None:
        """Of a function without its first parameters; `None` where it has none to be called on."""

    @staticmethod
    def written(arguments: Any, dropped: int) -> Signature | None:
        """The same of parameters that were parsed, `ast.arguments`."""

@final
class Member:
    """A method or an attribute, of a Protocol or of what provides it."""

    def __new__(
        cls,
        kind: str,
        signature: Signature | None = None,
        *,
        is_async: bool = False,
        plain: bool | Callable[[], bool] | None,
    ) -> Self:
        """Keeps them.

        Args:
            kind: `method`, `attribute`, or `unknown` where only running it would tell.
            signature: What a method may be called with.
            is_async: It is a coroutine function.
            plain: Whether its result, or its value, is of a type that is said and that can be neither awaited nor
                called; or what tells, because a type is looked up only where it matters. `None`: a text hides it.
        """

class _ContractLookup(Protocol):
    """A class beside a Protocol that it provides.

    Attributes:
        made: What people read for the class.
        protocol: What people read for the Protocol.
        is_whole: Whether all that the class has is known.
    """

    made: str
    protocol: str
    is_whole: bool

    def asked(self) -> Iterable[tuple[str, Member]]:
        """The Protocol's members by name."""

    def given(self, name: str, /) -> Member | None:
        """The class's."""

    def is_open(self, name: str, /) -> bool:
        """Whether an object may have it though its class does not tell."""

    def place(self, name: str, /) -> tuple[tuple[str | None, int, int], bool]:
        """Where the class has it, or where the class itself stands."""

    def asked_place(self, name: str, /) -> tuple[tuple[str | None, int, int], str | None]:
        """Where the Protocol has it, and how it is written there."""

def contract_faults(component: str, lookup: _ContractLookup) -> list[Diagnostic]:
    """What is wrong with a component that provides a Protocol; a note where a text hides it."""

def client_fault(
    protocol: str,
    method: str,
    extension: str,
    declared: Sequence[str],
    asked: tuple[str | None, int, int],
    manifest: tuple[str | None, int, int],
) -> Diagnostic:
    """The fault of a client's Protocol that names what its extension does not declare, with both places."""

def unfollowed(component: str, text: str, place: tuple[str | None, int, int]) -> Diagnostic:
    """The note on something of which only its import would tell."""

def plan_error(
    faults: Sequence[Diagnostic], *, phase: str | None = None
) -> PlanError | ManifestError:
    """The error for these faults: the class of their one code, `PlanError` for a mix; only errors choose it."""

def boot_error(
    message: str, *, code: str, phase: str | None = None, component: str | None = None
) -> BootError:
    """The error of a boot, or of what comes to one that is up: the class of its word."""

@final
class BootReport:
    """How a boot went: its text is a waterfall, `to_json()` the document of the contract."""

    @property
    def ok(self) -> bool:
        """Whether the system became ready."""

    @property
    def state(self) -> str | None:
        """`healthy`, or `degraded` where a part of it is not as it should be; `None` when it never became ready."""

    @property
    def system(self) -> str:
        """The system's name."""

    @property
    def ready_seconds(self) -> float | None:
        """From the call of `boot()` until everything was ready; `None` when it never was."""

    @property
    def since_launch_seconds(self) -> float | None:
        """From the process's start until everything was ready."""

    @property
    def overhead_seconds(self) -> float:
        """Wall time of the boot in which nothing but Symphony itself was on the critical path."""

    @property
    def infrastructure_seconds(self) -> float | None:
        """From the call of `boot()` to the Orchestra Kit's gate."""

    @property
    def memory_mb(self) -> float:
        """By how many MiB the process's peak memory rose."""

    @property
    def critical_path(self) -> list[str]:
        """The components that decided how long it took, first to last."""

    @property
    def savings(self) -> list[SavingRecord]:
        """For each step of the critical path, how much sooner the system would be ready if it took no time."""

    @property
    def budget_violations(self) -> list[BudgetViolation]:
        """The budgets that were exceeded."""

    @property
    def safe_mode(self) -> SafeModeRecord | None:
        """What a boot in safe mode went on without, and why; `None` where it started everything."""

    @property
    def spans(self) -> list[SpanRecord]:
        """What is no component's start: phases, gates, waits, the rollback and its stops, child processes."""

    def compare(self, earlier: BootReport | str) -> Comparison:
        """Says what became slower or faster than in an earlier boot, what is new and what is gone.

        Args:
            earlier: Another report, or its JSON document.

        Returns:
            What differs by more than noise.

        Raises:
            InvalidValueError: The text is no report, or its boot was never ready.
        """

    def to_json(self) -> str:
        """The document of the contract."""

    def _repr_html_(self) -> str:
        """What a notebook shows: the page of the boot, without its frame."""

@final
class BootEvent:
    """One event of a boot or a shutdown."""

    @property
    def name(self) -> str:
        """Its own word, as `phase-started` or `component-finished`."""

    @property
    def at(self) -> float:
        """Seconds after the call of `boot()`."""

    @property
    def phase(self) -> str | None:
        """The phase that it is about."""

    @property
    def component(self) -> str | None:
        """The component that it is about."""

    @property
    def seconds(self) -> float | None:
        """How long it took, for an event that ends something."""

    @property
    def status(self) -> Literal["ready", "degraded", "failed", "stopped", "skipped"] | None:
        """What came out, for an event that ends something."""

    @property
    def reason(self) -> str | None:
        """Why, of what was tried again, failed, was skipped, is not healthy or did not stop."""

    @property
    def progress(self) -> tuple[int, int] | None:
        """How much is done and of how much, of a `component-progressed`: bytes that a member reads back."""

@final
class EventQueue:
    """The boot's events on their way to an observer."""

    def follow(self, observer: Callable[[BootEvent], object]) -> None:
        """Starts the thread that hands the events on to an observer, in order, until the boot has ended."""

    def hand_on(self, observer: Callable[[BootEvent], object]) -> None:
        """The loop of that thread."""

@final
class LateBinding:
    """The boot's component `late-binding`, as the threads of the boot see it."""

    @property
    def threads_in_step(self) -> list[int]:
        """The threads that run a step of its system, each as often as it does."""

    def start(self, _job: Job) -> None:
        """Binds every late edge of what started.

        Raises:
            LateBindingError: A target did not start.
        """

    def health(self) -> None:
        """Healthy: it has nothing of its own."""

    def stop(self) -> None:
        """Nothing: the container lets go of every handle."""

def bind_late(container: Container) -> None:
    """Binds the late edges of a system that is up: its Conductor asked for what its source did not tell.

    Raises:
        BootError: A target did not start.
    """

@final
class Job:
    """One step, as the Python thread that runs it sees it; equal to any other of the same step."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    @property
    def live(self) -> Live | LateBinding:
        """The component that the step belongs to."""

    @property
    def step(self) -> _Step:
        """Which step."""

    @property
    def given_up(self) -> bool:
        """Whether the step was given up while it ran."""

    def begun(self, thread: int) -> bool:
        """Remembers which Python thread runs the step; false when it was given up before its turn came."""

    def skip(self) -> None:
        """The step is not run: it was given up before its turn came."""

    def finish(self, outcome: object = None) -> bool:
        """The step raised nothing; only the result of `health()` says how the component is.

        Returns:
            False when it had been given up.
        """

    def fail(self, error: BaseException) -> bool:
        """The step raised; false when it had been given up."""

@final
class JobQueue:
    """Steps for one Python thread, or for the calling one."""

    def take(self) -> Job | None:
        """Waits for the next step, without a timeout; `None` when the thread may end."""

    def take_polling(self, timeout: float | None = None) -> Job | None:
        """Waits for the next step on the thread that called `boot()`, letting signals through; `None` at the end.

        Args:
            timeout: Seconds after which it is `None` too; `None`: no limit.
        """

    def take_now(self) -> Job | Literal[False] | None:
        """The step that waits already; `False` where none does, `None` when none comes any more."""

    def end(self) -> None:
        """Nobody takes steps from here any more: those that wait, and those that come, are told so."""

    def not_started(self) -> Job | None:
        """The thread for it could not be started: the step that it was for, if there is one."""

    def left(self) -> None:
        """A thread that works off this shared queue will not come back."""

@final
class Keeper:
    """The keeper thread's door."""

    def next(
        self,
    ) -> (
        tuple[Literal["spawn"], JobQueue]
        | tuple[Literal["interrupt"], None]
        | tuple[Literal["cancel"], Job]
        | tuple[Literal["stack"], StackRequest]
        | None
    ):
        """Waits for the next order; `None` at the end."""

    def close(self) -> None:
        """Lets the keeper and the shared threads end."""

@final
class StackRequest:
    """A question for a thread's Python stack."""

    @property
    def thread(self) -> int | None:
        """The thread, by Python's number; `None` while the step waits for one."""

    @property
    def job(self) -> Job:
        """The step."""

    def answer(self, stack: str) -> None:
        """Answers."""

@final
class Slot:
    """The place of a component, as `symphony/_swap/swap.py` holds it."""

    def candidate(self, live: Live, thread: str) -> Stepper:
        """The steps of an object that may come into this place."""

    def exchange(self, stepper: Stepper) -> Stepper | None:
        """Puts another object into the place: gives the steps of the one before; `None` while it is being stopped."""

    def retire(self, stepper: Stepper) -> bool:
        """Leaves an object to be stopped with the place; false when that is being stopped already."""

    def reclaim(self, steppers: list[Stepper]) -> bool:
        """Takes back objects that were left; false, and none is, when they are being stopped already."""

@final
class Stepper:
    """The steps of one object that is not, or not any more, in its place."""

    def run(
        self, step: str, seconds: float | None = None
    ) -> tuple[Literal["healthy", "degraded", "unhealthy"], str | None]:
        """Runs a step where it belongs and waits for it: state and reason of the object after it."""

    def begin(self, step: _Step, seconds: float | None = None) -> PendingStep:
        """Begins a step that belongs to the thread that calls, which then has to work it off."""

@final
class PendingStep:
    """A step of the calling thread's on its way."""

    @property
    def calling(self) -> JobQueue:
        """The queue to work off until it has ended."""

    def result(self) -> tuple[_Health, str | None]:
        """State and reason of the object after it.

        Raises:
            BootError: It was not done in time, and was given up.
        """

@final
class MemberSeat:
    """The place of a Pit member, with the methods of a component's."""

    def belong(self, live: Live, container: Container, key: Any) -> None:
        """Says whose place it is."""

    def candidate(self, live: Live, thread: str) -> Stepper:
        """The steps of an object that may come into this place."""

    def exchange(self, stepper: Stepper) -> Stepper | None:
        """Puts another object into the place: gives the steps of the one before, `None` at the shutdown.

        While something else stands in it, the member's operations are asked of that.

        Raises:
            StoppedError: The member is not in its place.
        """

    def retire(self, stepper: Stepper) -> bool:
        """Leaves an object to be stopped with the place; false when that is being stopped already."""

    def reclaim(self, steppers: list[Stepper]) -> bool:
        """Takes back objects that were left; false when they are being stopped already."""

    def is_idle(self) -> bool:
        """Whether no call is inside what was taken out."""

    def tell(self, report: SwapReport) -> bool:
        """Says in a report what went with the member, and who keeps it at work; whether anybody does."""

    def close(self) -> None:
        """Closes what was taken out; may be called twice.

        Raises:
            SymphonyError: What was acknowledged could not be written down.
        """

    def end(self) -> None:
        """The system is down: nobody asks for operations any more."""

@disjoint_base
class Lookup:
    """The objects of a running system that were asked for, by their types: what `System` is made upon."""

    def __new__(cls, *_arguments: Any) -> Self:
        """Takes what its subclass takes."""

    @property
    def _found(self) -> dict[Any, Any]:
        """Those that were found so far; what is changed here is changed for good."""

    def __getitem__(self, key: Any, /) -> Any:
        """The object that was registered for a type. What is not there is asked of `_look_up`."""

    def get(self, key: Any, default: Any = ..., /) -> Any:
        """The object that was registered for a type, or the default."""

# Versions of extensions ------------------------------------------------------------------------

@final
class TriedVersions:
    """Several versions that share the calls of one extension."""

    def report(self) -> ExperimentReport:
        """What they did so far; after the experiment what they did until its end."""

    def end(self, promoted: str | None, drain: float) -> SwapReport:
        """Ends it: that version has the name, or the one that had it before.

        Raises:
            StoppedError: The system was shut down.
        """

def swap_version(kit: Kit, name: str, path: Any, drain: float) -> SwapReport:
    """Gives an extension's name to the version in that folder, or of that manifest.

    Raises:
        BootError: The manifest is at fault, or of another extension.
        ComponentNotFoundError: There is no extension of that name.
        ExtensionError: It did not start.
        InvalidValueError: An experiment runs on the extension, or that is no folder.
    """

def try_versions(
    kit: Kit,
    name: str,
    variants: Mapping[str, Any],
    shares: Mapping[str, float],
    key: Callable[..., object] | str | None,
    seed: int,
) -> TriedVersions:
    """Starts versions that share the calls: of each variant a folder, or the extension's name or handle for its own.

    Raises:
        BootError: A manifest is at fault, or of another extension.
        ExtensionError: One did not start.
        InvalidValueError: An experiment runs on the extension already, or that is no folder.
    """

# Other processes -------------------------------------------------------------------------------

@final
class FaultPlan:
    """Faults for one boot. Its steps that hang do so as long as it lives."""

    def __new__(cls, faults: list[tuple[str, str, str, int, float, str]]) -> Self:
        """Plans faults: component, step, kind, call, seconds, message.

        Raises:
            InvalidValueError: There is no such step or kind.
        """

    @property
    def fired(self) -> list[int]:
        """Which of the faults happened, in order, by their places in the plan."""

    def release(self) -> None:
        """Ends every hang and every wait: the components' own steps begin."""

    def discard(self) -> None:
        """Ends every hang and every wait; the components' own steps never begin."""

@final
class GuestCall:
    """A call of a guest on its way to an event loop."""

    def cancel(self) -> None:
        """Gives the call up."""

@final
class GuestLane:
    """A Python guest's end of its lane, on which `symphony/_guest/server.py` serves.

    Its calls raise as `ExtensionHandle.call`.
    """

    def __new__(cls, descriptor: int) -> Self:
        """Takes over the descriptor of the lane.

        Raises:
            SymphonyError: It is no lane.
        """

    def hello(
        self,
        name: str,
        version: str,
        operations: list[Operation],
        spans: list[tuple[str, float, float]] = ...,
    ) -> Welcome:
        """Introduces the extension and waits for the host's welcome.

        Args:
            name: The extension's name.
            version: Its version.
            operations: What it offers.
            spans: What its start spent its time on: name, begin and end in seconds of `time.monotonic()`.

        Raises:
            ProtocolError: The host refused.
        """

    def ready(self) -> None:
        """Says that requests may come."""

    def next_request(self) -> tuple[int, str, dict[str, Any], bool] | int | None:
        """Waits for a request: correlation, operation, inputs, whether it takes a stream.

        A number alone is a stream that had no room and may go on, or is given up. `None`: the host said stop or is
        gone.
        """

    def stop_requested(self) -> bool:
        """Whether the host asked this guest to stop."""

    def stopping_for(self) -> float | None:
        """For how many seconds the host has waited for this guest to stop; `None` where it has not asked."""

    def stopped(self) -> None:
        """Says that this guest leaves by itself."""

    def has_request(self) -> bool:
        """Whether `next_request` would not have to wait."""

    def room(
        self, correlation: int, completions: Completions | None = None, token: int = 0
    ) -> bool | None:
        """Whether a stream's reader has room for the next value; `None` where it wants no more.

        Where it has none, `next_request` tells when it has, or the loop of `completions`, under that token.
        """

    def reply(self, correlation: int, value: Any) -> None:
        """Answers a request.

        Raises:
            TypeError: The value is of no type that can be sent.
        """

    def error(
        self,
        correlation: int,
        code: str,
        message: str,
        type_name: str,
        traceback: str,
        causes: list[str] = ...,
    ) -> None:
        """Answers a request with a failure; correlation 0 is the extension's own start."""

    def item(self, correlation: int, value: Any) -> None:
        """Sends one value of a stream; waits while its reader is behind.

        Raises:
            TypeError: The value is of no type that can be sent.
        """

    def end(self, correlation: int) -> None:
        """Ends a stream."""

    def call(
        self,
        operation: str,
        inputs: dict[str, Any],
        timeout: float | None = None,
        under: int | None = None,
    ) -> Any:
        """Calls an operation of the Pit or of another extension, for so many seconds at most.

        `under` is the request for whose sake it is made: its deadline and its cancel are the call's too.

        Raises:
            NotGrantedError: The manifest does not grant it.
        """

    def submit(
        self,
        completions: Completions,
        token: int,
        operation: str,
        inputs: dict[str, Any],
        under: int | None = None,
    ) -> GuestCall:
        """Sends a call whose result goes to an event loop, under that token.

        It is made for the sake of the request `under`, and has its deadline.
        """

    def publish(self, topic: str, value: Any) -> None:
        """Publishes a value on a topic.

        Raises:
            TypeError: The value is of no type that can be sent.
        """

    def runs_loop(self) -> None:
        """Says that this thread runs the asynchronous operations."""

    def cancelled(self, correlation: int) -> bool:
        """Whether the caller of a request gave it up, or the host wants this guest to stop."""

@final
class InProcessRuns:
    """The extension of a boot that is served in this process, by `symphony/testing/_extension.py`."""

    def __new__(cls, extension: str) -> Self:
        """Names the extension."""

    def next(self) -> tuple[InProcessRun, bool] | None:
        """Waits for the next run that begins (true), or is to be interrupted; `None` when none comes any more."""

    def close(self) -> None:
        """No run is taken any more."""

@final
class InProcessRun:
    """One run of an extension in this process."""

    def lane(self) -> GuestLane:
        """The guest's end of its lane; once.

        Raises:
            SymphonyError: It was taken already, or could not be opened.
        """

    def leave(self) -> None:
        """Has the host ask it to stop."""

    def ended(self, code: int) -> None:
        """Tells the host that it has ended, by that exit code; it may have given it up before."""

@final
class FileWatch:
    """Folders, watched with all that is below them, and single files."""

    def __new__(cls, folders: Sequence[_StrPath]) -> Self:
        """Begins to watch; what does not exist is left out.

        Raises:
            SymphonyError: The kernel watches no more.
        """

    def next(self, timeout: float) -> list[str]:
        """Waits so many seconds for a change, and until it is quiet again; gives what was changed."""

@final
class SupervisorServer:
    """The supervisor's loop: lives in the one thread of that process."""

    def __new__(cls) -> Self:
        """Takes over the descriptors that the root left in this process."""

    def interpreter(self, prefixes: list[str], path: list[str], finders: list[str]) -> None:
        """Says what this interpreter reads: prefixes, where modules come from, files of hooks for editable packages."""

    def up(self, spans: list[tuple[str, float, float]]) -> None:
        """Tells the root that orders are taken, with the spans of the start: name, begin, end in seconds."""

    def next(self) -> int | None:
        """Waits for the next fork that the root wants: its number, or `None` at the end."""

    def spawned(self, id: int, pid: int) -> None:
        """In the parent: the child of this number runs."""

    def not_started(self, id: int, reason: str) -> None:
        """In the parent: the fork failed."""

    def prepare_child(self) -> ChildRecord:
        """In the child: becomes the guest."""

    def resolve(self) -> None:
        """In the process that looks names up: does so until the supervisor goes."""

    def become_server(self) -> None:
        """In the fork of a bridge: everything but the execution of the server."""

    def bridge(self, server: int) -> int:
        """In the bridge: serves the host by that child of this process; the exit code."""

# Functions -------------------------------------------------------------------------------------

def check_paths(
    paths: Sequence[_StrPath], read_operations: Callable[[Any, str], Any]
) -> list[Diagnostic]:
    """Every fault of the manifests and Melodies at these paths."""

def asked_permissions(
    paths: Sequence[_StrPath],
) -> list[tuple[str, str, int, list[tuple[str, list[str], str, str | None, int | None]]]]:
    """What the manifests of extensions at these paths ask for.

    Returns:
        Of each its name, file and line, and its permissions: the key, what the manifest says, the same in plain words,
        what follows from it, the line.
    """

def count_paths(paths: Sequence[_StrPath]) -> tuple[int, int, int]:
    """How many manifests, extensions and Melodies lie at these paths."""

_Declared: TypeAlias = tuple[str, list[tuple[str, int, int]], tuple[str, int, int] | None]

def find_melodies(paths: Sequence[_StrPath]) -> list[str]:
    """The files of the Melodies that lie at these paths."""

def find_systems(paths: Sequence[_StrPath]) -> list[_Declared]:
    """The systems whose manifests lie at these paths: file, each module of `components`, and the Conductor, placed."""

def declared_in(path: _StrPath) -> _Declared | None:
    """What one manifest names for its boot; `None` where it cannot be read, which the boot tells."""

def store_settings(path: _StrPath) -> tuple[str, str, float | None, int | None]:
    """The state folder of a system, its durability, and the `keep` (seconds) and `cap` (bytes) of its `[system.store]`.

    Raises:
        ManifestError: The manifest is at fault.
    """

def deployment(
    path: _StrPath,
) -> tuple[str, str, list[tuple[str, bool, bool, str, int | None, bool]]] | None:
    """What a system asks of the machine that it is deployed on; `None` where its manifest cannot be read.

    Returns:
        Its name, its state folder, and for each extension: name, whether it has a process, whether it starts with the
        system, `python`, `command` or `library`, its limit of memory in bytes, whether it may run programs.
    """

def eager_extensions(path: _StrPath) -> list[str]:
    """The extensions that start with a system, each after those that it requires.

    Raises:
        ManifestError: Its manifest cannot be read.
    """

def extension_figures(
    extension: ExtensionHandle,
) -> tuple[int, int, int, int, float | None, float | None, str | None]:
    """What an extension did since its system started.

    Returns:
        Restarts, calls without an outcome yet, calls that ended, those that failed, what half of them and what 99 of
        100 took at most in seconds, the last fault.
    """

def extension_grants(extension: ExtensionHandle) -> list[tuple[str, str, str]]:
    """How far each grant of an extension is held.

    Returns:
        The permission; `enforced`, `degraded` or `not enforced`; why not further.
    """

def stop_extension(extension: ExtensionHandle, seconds: float) -> None:
    """Stops an extension within so many seconds; nothing starts it again."""

def find_extensions(
    paths: Sequence[_StrPath], read_operations: Callable[[Any, str], Any]
) -> list[tuple[str, str, int, int, list[str] | None]]:
    """The extensions whose manifests lie at these paths.

    Returns:
        Name, file, line, column, and the names of the operations where they are known.
    """

def watched_paths(manifest: _StrPath) -> list[str]:
    """What is to be watched of a manifest: an extension's program, a system's folders of extensions."""

def trust_extension(folder: _StrPath) -> int:
    """Pins what an extension's folder holds now, in the user's lock file; gives how many files that are.

    Raises:
        InvalidValueError: Something in it cannot be pinned, or the lock file cannot be read or written.
    """

def distrust_extension(folder: _StrPath) -> bool:
    """Takes the trust back; gives whether there was any. Raises as `trust_extension`."""

def trusted_extensions() -> list[tuple[str, str | None]]:
    """The folders that are trusted, each with why it would be refused now. Raises as `trust_extension`."""

def plan_graph(path: _StrPath | None, format: str) -> str:
    """The component graph of a system by phase, as `text`, `mermaid`, `dot`, `svg` or `json`.

    Raises:
        InvalidValueError: There is no such format.
        ManifestError: The manifests are at fault.
    """

def plan_specs(
    specs: Sequence[ComponentSpec],
    replaced: Sequence[str],
    config: str | None = None,
) -> list[Diagnostic]:
    """Every fault that the planner finds in these components."""

def own_parts_by_class() -> dict[Any, OwnPart]:
    """Symphony's own parts by the classes of their handles, and by the names of these in the package."""

def checked_seconds(name: str, seconds: float) -> float:
    """The seconds of the argument of that name, bounded.

    Raises:
        InvalidValueError: They are negative or no number.
    """

def known_phase(phase: str) -> None:
    """Refuses a word that is no phase.

    Raises:
        InvalidValueError: There is no such phase.
    """

def known_timeout(seconds: float) -> None:
    """Refuses a deadline that is no positive number of seconds.

    Raises:
        InvalidValueError: It is none.
    """

@final
class Rest:
    """What becomes of the `*` and `**` arguments that something takes which Python calls to make an object."""

    def __new__(
        cls, passed: tuple[int, Sequence[str], bool, bool] | None = None, *, hidden: bool = False
    ) -> Self:
        """Keeps it.

        Args:
            passed: How many are passed on by position, which by name, whether `*` and whether `**`; `None`: nothing.
            hidden: Nobody knows.
        """

def parameters_of(name: str, lookup: Any, place: _Place) -> tuple[list[Any], Diagnostic | None]:
    """The parameters that a class takes, and the fault of one that cannot be built by injection.

    Args:
        name: The component's name.
        lookup: Reads the class: `refused()` tells why it has no objects of its own, and what it lacks; `declared()`
            what its `__signature__` says; `makers(attribute)` what stands under that name in the order of resolution:
            what people read for it, whether it says what it takes, what that is, and what `rest` and `taken` read.
        place: Where the class stands; asked for a fault alone.

    Returns:
        What `taken` made of each, and what is wrong.
    """

def enter(
    spec: ComponentSpec, lookup: Any, place: _Place, annotation: Any = None
) -> Diagnostic | None:
    """Says of a component that is entered how it lives, by which methods its class has.

    Args:
        spec: The component.
        lookup: Tells by `has(made, name)` whether a class has a method, or nothing; `text` of an annotation.
        place: Where it stands; asked for a fault alone.
        annotation: What its factory says that it makes.

    Returns:
        What forbids it; a note where only its import would tell.
    """

def find_remedies(specs: Sequence[ComponentSpec], lookup: Any) -> None:
    """Finds what would help about each need that none of these components provides.

    Args:
        specs: The components.
        lookup: Reads classes: `wanted(key)` tells whether people cannot register it, whether it is a Protocol, and what
            stands in its body; `label(made)` what people read for a class; `inherits(made, key)`; `has(made, name)`.
    """

def not_injectable(name: str, why: str, place: _Place, names: Sequence[str] = ...) -> Diagnostic:
    """The fault of a component that cannot be built by injection.

    Args:
        name: Its name.
        why: `abstract`, `protocol`, `plain`, `not-entered`, `cached` or `hidden`.
        place: Where it stands.
        names: What an abstract class lacks; what does not say what it takes.

    Raises:
        InvalidValueError: There is no such reason.
    """

def read_need(
    spec: ComponentSpec,
    lookup: Any,
    parameter: str,
    annotation: Any,
    place: _Place,
    *,
    has_default: bool,
    positional: bool = False,
    at: tuple[str | None, int, int] | None = None,
) -> Diagnostic | None:
    """Adds the need of one parameter to a specification.

    Args:
        spec: The specification.
        lookup: Tells what annotations are made of: `form`, `key` and `text` of one.
        parameter: The parameter's name.
        annotation: What was written; `None` where nothing was.
        place: Where it stands; asked for a fault alone.
        has_default: It can be left out.
        positional: It can only be given by position.
        at: Where it stands, where that is known; else where the component does.

    Returns:
        What is wrong with it, if something is; a note where only its import would tell.
    """

def read_result(
    spec: ComponentSpec, lookup: Any, annotation: Any, place: _Place
) -> Diagnostic | None:
    """Adds what a factory makes to its specification; gives what is wrong with it, as `read_need` does."""

def settle_names(specs: Sequence[ComponentSpec], among: Sequence[ComponentSpec]) -> None:
    """Takes a text beside a type for a name only where one of `among` has that name and provides the type."""

def annotation_fault(
    name: str,
    module: str,
    place: _Place,
    *,
    parameter: str | None = None,
    text: str | None = None,
    is_function: bool = True,
) -> Diagnostic:
    """What is wrong with the annotation of a parameter or of a result; the place is asked for once."""

def main_thread_faults(name: str, phase: str, is_async: bool, place: _Place) -> list[Diagnostic]:
    """What forbids a component to have its steps on the calling thread; the place is asked for if anything does."""

def qualify(specs: Sequence[ComponentSpec], conductor: ComponentSpec | None = None) -> None:
    """Gives different definitions of one name their module in front; the Conductor gives way to the others."""

def seconds_text(seconds: float) -> str:
    """A span as people read it: `850 µs`, `12 ms`, `1.5 s`."""

def budget_text(name: str, value: float) -> str:
    """A figure in its budget's unit."""

def empty_report() -> str:
    """The JSON document of a boot that never began."""

def baseline_fault(text: str) -> tuple[str, int | None, int | None] | None:
    """Why a text is no report that a boot can be compared with: what, line, column; `None` where it is one."""

def is_main_thread() -> bool:
    """Whether this is the thread that the process began with."""

def write_unraisable(error: BaseException, source: object) -> None:
    """Hands an exception that nobody can catch to `sys.unraisablehook`, as the interpreter does."""

def mark_forked() -> list[int]:
    """In a forked child: every handle raises from now on. Returns the descriptors that it must let go of."""
