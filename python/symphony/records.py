"""The dictionaries that the core's handles return, for annotations: `from symphony.records import Metadata`.

Nothing at run time needs this module; it exists so that a program can name what it was given.
"""

from __future__ import annotations

from typing import Literal, TypedDict


class BudgetViolation(TypedDict):
    """A budget that a boot exceeded: `ready`, `overhead`, `phases.<name>` in seconds, `memory` in MiB."""

    name: str
    limit: float
    actual: float


class SafeModeRecord(TypedDict):
    """What a boot in safe mode went on without.

    Attributes:
        without: The names of extensions and components.
        reason: Why.
        asked_for: Whether somebody asked for it; else it is because of boots that failed.
    """

    without: list[str]
    reason: str
    asked_for: bool


class SavingRecord(TypedDict):
    """A step of the critical path, and how many seconds sooner the system would be ready if it took no time."""

    name: str
    seconds: float


class SpanRecord(TypedDict):
    """A stretch of a boot that is no component's start.

    Attributes:
        name: `phase`, `gate`, `wait`, `rollback`, `stop`, or what a child process did (`fork`, `import`, …).
        component: The component that stopped, or to which the child belongs.
        phase: The phase, of a phase, a gate or a wait.
        pid: The child's process; `None` for what happened in this one.
        started_at: Seconds after the call of `boot()`.
        seconds: How long it took.
    """

    name: str
    component: str | None
    phase: str | None
    pid: int | None
    started_at: float
    seconds: float


class Change(TypedDict):
    """A figure that differs from that of an earlier boot by more than noise.

    Attributes:
        kind: Of what it is.
        name: `ready`, `overhead`, the phase or the component.
        earlier_seconds: What it was.
        seconds: What it is.
        difference_seconds: By how much it is more; below zero for less.
        ratio: What it is, as a multiple of what it was; `None` where it was nothing.
    """

    kind: Literal["system", "phase", "component"]
    name: str
    earlier_seconds: float
    seconds: float
    difference_seconds: float
    ratio: float | None


class Noise(TypedDict):
    """What counts as noise: a difference of fewer seconds, or of a smaller share of the earlier figure."""

    seconds: float
    share: float


class Comparison(TypedDict):
    """Two boots side by side; `slower` and `faster` have the largest difference first."""

    slower: list[Change]
    faster: list[Change]
    new: list[str]
    gone: list[str]
    noise: Noise


class Metadata(TypedDict):
    """What the store knows of an artifact.

    Attributes:
        id: BLAKE3 of its bytes, 64 hexadecimal digits.
        size: Bytes.
        created: When it was first put, in seconds since 1970.
        names: Each name that it has or had, with the number of the version, from 1.
        tags: Sorted.
        parents: The ids of what it was made from.
        reads: How often it was read.
        last_read: When it was last read, in seconds since 1970; `None`: never.
        archived: Its bytes lie in the archive folder.
    """

    id: str
    size: int
    created: float
    names: list[tuple[str, int]]
    tags: list[str]
    parents: list[str]
    reads: int
    last_read: float | None
    archived: bool


class JournalReport(TypedDict, total=False):
    """What was wrong with a journal, and what was done about it; nothing where it is whole."""

    journal: str


class VerifyReport(JournalReport):
    """What a check of all bytes found: how many were read, and the ids of those that are not what they were."""

    checked: int
    bad: list[str]


class StoreStats(TypedDict):
    """Figures of the artifact store.

    Attributes:
        artifacts: How many there are.
        bytes: What they hold together.
        stored_bytes: What is stored for them: what two have in common counts once.
        dead_bytes: What deleted ones still take, until it is collected.
        puts: Calls of `put` since the start.
        deduplicated: Those of them whose bytes were there already.
        gets: Calls of `get` and `open` since the start.
        journal_bytes: The journal's length.
        replayed: Journal records that the index did not have at the start.
        truncated: Bytes of a torn record that were cut off at the start.
    """

    artifacts: int
    bytes: int
    stored_bytes: int
    dead_bytes: int
    puts: int
    deduplicated: int
    gets: int
    journal_bytes: int
    replayed: int
    truncated: int


NodeState = Literal[
    "pending",
    "ready",
    "running",
    "waiting",
    "completed",
    "failed",
    "skipped",
    "blocked",
    "cancelled",
]
RunState = Literal["active", "completed", "failed", "cancelled"]


class _NodeStatus(TypedDict):
    state: NodeState
    artifact: str | None
    reason: str | None


class NodeStatus(_NodeStatus, total=False):
    """Where a node of a run stands; `artifact` as told to `complete`, `reason` of a failure or a skip.

    `attempts` is there where a node of a run with retries has failed: how often.
    """

    attempts: int


class RunStatus(TypedDict):
    """Where a run of the DAG tracker stands; `resumed`: it was read back at the start of this system."""

    run: int
    state: RunState
    priority: int
    label: str
    resumed: bool
    nodes: dict[str, NodeStatus]


class PoolStats(TypedDict):
    """Figures of a pool.

    Attributes:
        size: How many workers may exist.
        idle: Workers that wait to be leased.
        leased: Workers that are leased.
        starting: Workers that a factory is making.
        waiting: Callers that wait.
        hits: Leases that found a warm worker.
        misses: Leases that had to make one.
        created: Workers that the factory made.
        failures: Factory calls that raised.
        evicted: Idle workers that were dropped to make room.
        broken: Workers that were given back broken.
        unhealthy: Idle workers that did not pass their check.
        overdue: Factory calls that took so long that others were given their place.
        timeouts: Leases that timed out.
        memory: What its workers take, in bytes.
        demand: How many leases at once were seen lately: a peak that fades by half each minute.
    """

    size: int
    idle: int
    leased: int
    starting: int
    waiting: int
    hits: int
    misses: int
    created: int
    failures: int
    evicted: int
    broken: int
    unhealthy: int
    overdue: int
    timeouts: int
    memory: int
    demand: float


class AuditEntry(TypedDict):
    """A decision of the arbitration engine.

    Attributes:
        sequence: Counts all decisions, also those that the audit has dropped.
        at: Seconds since the engine was started.
        resource: About what.
        owner: Who asked.
        amount: How much.
        priority: With which priority.
        decision: What came out.
        reason: Why, as a sentence.
        waited: Seconds that the asker waited.
    """

    sequence: int
    at: float
    resource: str
    owner: str
    amount: int
    priority: int
    decision: Literal["granted", "denied", "deferred", "released", "expired", "deadlock"]
    reason: str
    waited: float


class ResourceStatus(TypedDict):
    """Where a resource of the arbitration engine stands.

    Attributes:
        strategy: Who is served first: `priority`, `fair` or `queue`.
        capacity: How much there is.
        used: How much is granted.
        waiting: How many wait.
        holders: Who holds how much.
    """

    strategy: Literal["priority", "fair", "queue"]
    capacity: int
    used: int
    waiting: int
    holders: dict[str, int]


class _Reasons(TypedDict, total=False):
    reasons: dict[str, str]


class SweepReport(_Reasons):
    """What a sweep did, or would do.

    Attributes:
        dry_run: Nothing was touched.
        examined: Artifacts that were judged.
        kept: Those that stay.
        archived: Ids whose bytes moved to the archive folder.
        deleted: Ids that are gone.
        deleted_bytes: What that freed.
        failures: Ids that could not be treated, each with the reason.
        reasons: With `explain`: why, for each id that is touched or only spared.
    """

    dry_run: bool
    examined: int
    kept: int
    archived: list[str]
    deleted: list[str]
    deleted_bytes: int
    failures: list[tuple[str, str]]


class EnforceReport(SweepReport):
    """What was done to keep the store to its limits, or would be.

    Attributes:
        stored_bytes: What is stored now.
        is_over: That is more than the cap: the rest is pinned, held, kept by a rule, or was used a moment ago.
    """

    stored_bytes: int
    is_over: bool


class EngineStats(TypedDict):
    """Totals of the engine that runs Melodies, since its start.

    Attributes:
        submitted: Runs.
        done: Runs that ended well.
        failed: Runs that did not.
        calls: Calls that were made.
        retried: Calls that were made again.
        asked: Questions to the Conductor.
        late: Answers that came too late.
        refused: Answers that were no answer.
    """

    submitted: int
    done: int
    failed: int
    calls: int
    retried: int
    asked: int
    late: int
    refused: int


class OperationInput(TypedDict):
    """An input of an operation, as an extension declares it."""

    name: str
    required: bool


class _OperationBase(TypedDict):
    name: str


class Operation(_OperationBase, total=False):
    """An operation, as an extension declares it in its handshake."""

    inputs: list[OperationInput]
    stream: bool
    doc: str


class Grants(TypedDict):
    """What the manifest of an extension grants.

    `in_root`: it is a library in the root process, which no grant holds. `digest`: the SHA-256 of the manifest.
    """

    in_root: bool
    write: list[str]
    run: list[str]
    network: bool
    calls: list[str]
    digest: str


class Welcome(TypedDict):
    """The host's answer to a guest's handshake: protocol version, calls that may wait, settings."""

    protocol: int
    queue: int
    settings: dict[str, str]


class _Child(TypedDict):
    name: str
    environment: list[tuple[str, str]]
    folder: str
    lane: int


class ChildRecord(_Child, total=False):
    """What a forked child of the supervisor is to become: either `entry` and `paths`, or `argv`.

    With `beside` the program is a server, for which a bridge forks once more. With `resolver` alone it is no guest, but
    looks names up for the supervisor.
    """

    entry: str
    paths: list[str]
    argv: list[str]
    beside: bool
    resolver: bool
