"""The optimiser of the boards: which EDF tasks may start their next job (wire-protocol 5.4).

Pure: no clock, no board; times are arguments, in microseconds of the board's clock. One object per board and boot:

    optimiser = Optimiser("G3b")                    # G1o, G3a, G3b; the others have none
    optimiser.set_goal(document)                    # OPTIMIZE on G1o, each task-set on G3; raises where a board throws
    optimiser.register(name, core, period=T, deadline_us=D)             # each accepted task of kind `lo`
    if not optimiser.permit(name, core, now_us):    # before each EDF job; False: NOT_SCHEDULED, no job
    review = optimiser.review(name, now_us, threads)    # after its job's exit (G3b: again at its destruction)
    optimiser.leave(name)                           # the task was killed

`threads` is what the kernel tells of the jobs of all registered tasks: those that ran, with their exits. On G1o each
turn of START waits `query_interval_ms`, then reviews; while `review.again_us` isn't None, it asks again at that time.
Permission and review say why. A goal document is the content of the root element as nested mappings, leaves as text or
numbers.

Left out, since the text calls it undefined: G1o's counters (0, as it says), comparisons of ms with us, list positions
taken for thread numbers, reading an erased task. The hang of G3 after a miss without cause is the switch `hangs`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from sim.boards.goal import Goal, Goals, parse_goal
from taskgen.errors import UsageError


@dataclass(frozen=True, slots=True)
class Rule:
    """How the optimiser of one generation differs."""

    goal: Goal  #: before any document says another
    polls: bool  #: reviews wait at START and ask every `query_interval`, a mandatory element
    counts: bool  #: `value` counts; G1o's counters are undefined, taken as 0
    ends: bool  #: a task without further jobs leaves the competition (rule 7)
    resets_after_miss: bool  #: rule 5 after a miss of a task that is in a group
    hastens: bool  #: exactly one exited thread is scored before its deadline (rule 10)
    flags: Callable[["_Task", Sequence["_Task"], Callable[["_Task"], float]], None]  #: rule 6
    utilization: Callable[[int, int], float]  #: of CPU time in us and period


class Thread(NamedTuple):
    """What the kernel tells of one job of a registered task."""

    name: str
    core: int
    arrival_us: int
    exit_us: int | None = None  #: its exit; None: it runs, or was destroyed
    cpu_us: int = 0
    destroyed_us: int | None = None  #: its entry in the kernel's table of dead threads


@dataclass(frozen=True, slots=True)
class Permission:
    """The answer to `permit`; true where the job may start."""

    name: str
    now_us: int
    allowed: bool
    reason: str

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True, slots=True)
class Review:
    """What a review found."""

    outcome: Literal["met", "missed", "nothing new", "too early", "unknown", "ended"]
    cause: str | None = None  #: the task to blame for a miss
    again_us: int | None = None  #: G1o: START is blocked, the next question comes then
    hangs: bool = False  #: sched_controller threw: the board never answers again


@dataclass(eq=False, slots=True)
class _Group:
    members: "list[_Task]"
    max_value: int = 0


@dataclass(eq=False, slots=True)
class _Task:
    """The state of one EDF task."""

    name: str
    core: int
    period: int  #: as given
    deadline_us: int
    allowed: bool = True  #: the flag `to_schedule`
    values: dict[int, int] = field(default_factory=dict)  #: per core
    utilization: float = 0.0
    competitors: "list[_Task]" = field(default_factory=list)
    group: _Group | None = None
    arrival_us: int | None = None  #: the last known: of the newest job that was scored
    ended: bool = False

    @property
    def value(self) -> int:
        return self.values.get(self.core, 0)

    def add(self, change: int) -> None:
        self.values[self.core] = max(0, self.value + change)


def _flags_g3(task: _Task, rivals: Sequence[_Task], measure: Callable[[_Task], float]) -> None:
    """The largest at or above the task is allowed, the smallest below it denied; ties: last, first (rules 6, 8)."""
    largest = max(reversed(rivals), key=measure)
    smallest = min(rivals, key=measure)
    if measure(largest) >= measure(task):
        largest.allowed = True
    if measure(smallest) < measure(task):
        smallest.allowed = False


def _flags_g1o(task: _Task, rivals: Sequence[_Task], measure: Callable[[_Task], float]) -> None:
    """With nobody above it the task alone is allowed, otherwise the topmost is, and the task isn't (rule 6)."""
    topmost = max(rivals, key=measure)
    if measure(topmost) > measure(task):
        task.allowed = False
        topmost.allowed = True
        return
    task.allowed = True
    for rival in rivals:
        rival.allowed = False


def _quotient(cpu_us: int, period: int) -> float:
    return cpu_us / period if period else float("inf" if cpu_us else "nan")


def _whole_quotient(cpu_us: int, period: int) -> float:
    return cpu_us // period if period else 0  # an ARM's integer division by zero


_G1O = Rule(
    goal="none", polls=True, counts=False, ends=True, resets_after_miss=True, hastens=False, flags=_flags_g1o,
    utilization=_whole_quotient,
)  # fmt: skip
_G3 = Rule(
    goal="fairness", polls=False, counts=True, ends=False, resets_after_miss=False, hastens=True, flags=_flags_g3,
    utilization=_quotient,
)  # fmt: skip

#: The generations that have an optimiser.
RULES: dict[str, Rule] = {"G1o": _G1O, "G3a": _G3, "G3b": _G3}

_MEASURES: dict[Goal, Callable[[_Task], float]] = {
    "fairness": lambda task: task.value,
    "utilization": lambda task: task.utilization,
}


class Optimiser:
    """The optimiser of one board since its boot; `hangs` turns the hang of G3 on."""

    def __init__(self, generation: str, *, hangs: bool = False) -> None:
        if generation not in RULES:
            raise UsageError(f"generation: {generation!r:.40} has no optimiser", hint=f"known: {', '.join(RULES)}")
        self.generation = generation
        self.rule = RULES[generation]
        self.goal: Goal = self.rule.goal
        self.query_interval_ms = 100
        self.hangs = hangs
        self._tasks: dict[str, _Task] = {}

    def set_goal(self, document: Mapping[str, Any]) -> Goals:
        """Take the goal of a document, if it has one.

        Raises:
            InputError: the board's parser throws, which ends its component.
        """
        goals = parse_goal(document, polls=self.rule.polls)
        if goals.goal is not None:
            self.goal = goals.goal
        if goals.query_interval_ms is not None:
            self.query_interval_ms = goals.query_interval_ms
        return goals

    def register(self, name: str, core: int, *, period: int, deadline_us: int) -> None:
        """Note an EDF task; the first registration of a name is kept for ever, also by CLEAR."""
        task = self._tasks.setdefault(name, _Task(name, core, period, deadline_us))
        task.ended = False

    def permit(self, name: str, core: int, now_us: int) -> Permission:
        """Answer whether a task may start its next job on `core` (rule 1)."""
        task = self._find(name)
        if task is None:
            return Permission(name, now_us, allowed=True, reason="unknown to the optimiser")
        task.core = core
        if task.allowed:
            return Permission(name, now_us, allowed=True, reason="its flag is set")
        self._count_denial(task)
        reason = f"denied under the goal {self.goal}, value {task.value}"
        return Permission(name, now_us, task.allowed, "allowed after this denial" if task.allowed else reason)

    def review(self, name: str, now_us: int, threads: Iterable[Thread], *, last_job_started: bool = False) -> Review:
        """Look at what became of a task's jobs and adapt the flags (rules 2 to 8).

        `last_job_started`: the task has had all its starts, which ends it on G1o once nothing new shows.
        """
        task = self._find(name)
        if task is None:
            return Review("unknown")
        known = list(threads)
        new = _exited(task, known)
        due_us = None if task.arrival_us is None else task.arrival_us + task.deadline_us
        if due_us is not None and now_us < due_us and not (self.rule.hastens and len(new) == 1):
            return Review("too early", again_us=self._again_us(now_us))
        if not new:
            return self._nothing_new(task, known, last_job_started=last_job_started)
        review = Review("nothing new")
        for thread in new:
            review = self._score(task, thread, known)
        return review

    def leave(self, name: str) -> None:
        """Take a task out of the competition: it was killed, or (G1o) is over; a group of one dissolves (rule 7)."""
        task = self._find(name)
        if task is None:
            return
        task.ended = True
        task.competitors.clear()
        for other in self._tasks.values():
            if task in other.competitors:
                other.competitors.remove(task)
        if task.group is not None:
            task.group.members.remove(task)
            if len(task.group.members) == 1:
                task.group.members.pop().group = None
            task.group = None

    def flags(self) -> dict[str, bool]:
        """Return the flag of each task that takes part, by name."""
        return {task.name: task.allowed for task in self._tasks.values() if not task.ended}

    def values(self) -> dict[str, int]:
        """Return the counter of each task that takes part, on its core, by name."""
        return {task.name: task.value for task in self._tasks.values() if not task.ended}

    def _find(self, name: str) -> _Task | None:
        task = self._tasks.get(name)
        return None if task is None or task.ended else task

    def _again_us(self, now_us: int) -> int | None:
        return now_us + max(1, self.query_interval_ms * 1000) if self.rule.polls else None

    def _add(self, task: _Task, change: int) -> None:
        if self.rule.counts:
            task.add(change)

    def _count_denial(self, task: _Task) -> None:
        self._add(task, 1)
        self._reset(task)
        self._set_flags(task)

    def _nothing_new(self, task: _Task, threads: Sequence[Thread], *, last_job_started: bool) -> Review:
        """Rules 7 and 8: no thread has exited since."""
        if self.rule.ends and last_job_started and not any(_is_new(task, thread) for thread in threads):
            self.leave(task.name)
            return Review("ended")
        # G1o asks for a known arrival as well, without which a task has neither competitors nor a counter there.
        if not task.allowed:
            self._count_denial(task)
        return Review("nothing new")

    def _score(self, task: _Task, thread: Thread, threads: Sequence[Thread]) -> Review:
        """Rules 3 and 4: a job of the task has exited."""
        assert thread.exit_us is not None  # noqa: S101  # only exited threads are scored
        task.core = thread.core
        task.arrival_us = thread.arrival_us
        deadline_us = thread.arrival_us + task.deadline_us
        if thread.exit_us <= deadline_us:
            self._add(task, -1)
            task.utilization = self.rule.utilization(thread.cpu_us, task.period)
            self._set_flags(task)
            return Review("met")
        cause = self._cause(task, thread.arrival_us, deadline_us, threads)
        if cause is None:
            self._add(task, 1)
            self._set_flags(task)
            return Review("missed", hangs=self.hangs and task.group is None and not self.rule.polls)
        if cause not in task.competitors:
            task.competitors.append(cause)
        _join(task, cause)
        self._add(task, 1)
        if self.rule.resets_after_miss:
            self._reset(task)
        self._set_flags(task)
        return Review("missed", cause=cause.name)

    def _cause(self, task: _Task, arrival_us: int, deadline_us: int, threads: Sequence[Thread]) -> _Task | None:
        """Return the other task that was busy last before the deadline; one that never exited counts as exit 0."""
        others = [other for other in self._tasks.values() if other is not task and not other.ended]
        last_us = {other.name: _last_sign_us(other.name, arrival_us, deadline_us, threads) for other in others}
        candidates = [other for other in others if last_us[other.name] is not None]
        return max(candidates, key=lambda other: last_us[other.name] or 0, default=None)

    def _reset(self, task: _Task) -> None:
        """Rule 5: once all of a group on this core have reached its `max_value`, each gives it back."""
        group = task.group
        if group is None:
            return
        here = [member for member in group.members if member.core == task.core]
        if all(member.value >= group.max_value for member in here):
            for member in here:
                member.add(-group.max_value)

    def _set_flags(self, task: _Task) -> None:
        """Rule 6, among the competitors on the same core."""
        rivals = [rival for rival in task.competitors if rival.core == task.core]
        if rivals and self.goal != "none":
            self.rule.flags(task, rivals, _MEASURES[self.goal])


def _is_new(task: _Task, thread: Thread) -> bool:
    return thread.name == task.name and (task.arrival_us is None or thread.arrival_us > task.arrival_us)


def _exited(task: _Task, threads: Sequence[Thread]) -> list[Thread]:
    """Return the task's jobs that have exited since the last one that was scored, oldest first (rule 2)."""
    found = [thread for thread in threads if thread.exit_us is not None and _is_new(task, thread)]
    return sorted(found, key=lambda thread: thread.arrival_us)


def _last_sign_us(name: str, arrival_us: int, deadline_us: int, threads: Sequence[Thread]) -> int | None:
    """Return when a task was last seen busy before a deadline: its newest exit, or a destruction; None: only later."""
    mine = [thread for thread in threads if thread.name == name]
    newest_us = max((thread.exit_us for thread in mine if thread.exit_us is not None), default=0)
    dead = [thread.destroyed_us for thread in mine if thread.destroyed_us is not None]
    signs = [time_us for time_us in dead if arrival_us <= time_us <= deadline_us]
    if newest_us <= deadline_us:
        signs.append(newest_us)
    return max(signs, default=None)


def _join(task: _Task, cause: _Task) -> None:
    """Put both into one group, the smaller into the larger (rule 4)."""
    groups = [member.group or _Group([member]) for member in (task, cause)]
    small, large = sorted(groups, key=lambda group: len(group.members))
    if small is not large:
        large.members += small.members
    for member in large.members:
        member.group = large
    large.max_value = max(*(group.max_value for group in groups), len(task.competitors) + 1)
