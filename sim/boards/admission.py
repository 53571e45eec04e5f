"""Admission control of the boards: which tasks of a document `sched_controller` accepts (wire-protocol 5.1 to 5.3).

Pure: no clock, no board. One object per board and boot remembers which names it has seen. At each SEND_DESCS:

    admission = Admission("G3b", cores=2)
    verdicts = admission.admit([entry("00.pi", description), ...], ready=[Ready("07.hey", 1_250_000)])
    for verdict in verdicts:                        # one per task, in document order
        if not verdict.accepted:
            ...                                     # never starts; on some boards NOT_SCHEDULED at START
        elif verdict.kind == "lo":                  # where there is an optimiser
            optimiser.register(verdict.name, core, period=verdict.record.period, deadline_us=verdict.record.deadline)

A description is a mapping with the numbers that the board read (u32, its own units and priority direction, what a
missing element means is 0), as a dialect writes them. `ready` is what the kernel's EDF queue of core 1 holds at that
moment. `str(verdict)` explains: which test, whose bound, its iterates, the deadline.

Deliberately faithful: each quirk of the text is kept, with the arithmetic of the C++ code: the sufficient test in IEEE
doubles in its order, response-time analysis in unsigned 64 bit with each term added in double and truncated.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from taskgen.dialect.boards import BOARDS, board

_U32 = 1 << 32
_U64_MAX = (1 << 64) - 1
#: A board computes on until R > D; slower growth than this is taken for the refusal that it ends in.
_MOST_ITERATES = 100_000
#: Verdicts keep that many iterates from the start, and the last one.
_KEPT = 16
_EDF_G1O = 128
_EDF_G3B = 127
_NS_PER_US = 1000

Kind = Literal["lo", "hi"]


Lo = Literal["priority 128", "deadline", "deadline at priority 127", "none"]
_LO: dict[str, Lo] = {"G1o": "priority 128", "G1p": "none", "G3a": "deadline", "G3b": "deadline at priority 127"}


@dataclass(frozen=True, slots=True)
class Rule:
    """Whom one generation tests at SEND_DESCS (5.1); how a refusal shows is a matter of `taskgen.dialect.boards`."""

    #: What makes a task `lo`: never tested, always accepted. "none": every task is tested.
    edf: Lo
    deadline_factor: int  #: unit of D in the record: microseconds = deadline x factor


#: The generations that have admission; the others accept everything.
RULES: dict[str, Rule] = {
    name: Rule(lo, deadline_factor=BOARDS[name].deadline_unit_ns // _NS_PER_US) for name, lo in _LO.items()
}


class Record(NamedTuple):
    """What the tests know of a task, in the units of its generation."""

    name: str
    cost: int  #: C = executiontime
    period: int  #: T
    deadline: int  #: D; G3: microseconds, while C and T stay milliseconds
    priority: int  #: P, signed; larger is more urgent, whatever the loader thinks

    @property
    def utilization(self) -> float:
        """C/T in double; infinite or NaN for T = 0."""
        return _divide(self.cost, self.period)


class Entry(NamedTuple):
    """A task of a document: the name of its instance, and its elements as the board read them."""

    name: str
    description: Mapping[str, Any]


class Ready(NamedTuple):
    """An EDF thread in the ready queue of core 1: its name, and its absolute deadline on the kernel's clock."""

    name: str
    deadline_us: int


class Check(NamedTuple):
    """One comparison of a bound with a deadline."""

    test: Literal["sufficient", "response time"]
    name: str  #: whose bound
    iterates: tuple[float, ...]  #: R(0), R(1), ..., the last one decides; the sufficient test has one
    deadline: int
    passed: bool

    def __str__(self) -> str:
        shown = ", ".join(f"{value:.17g}" if isinstance(value, float) else str(value) for value in self.iterates)
        return f"{self.test} of {self.name}: R = {shown} {'within' if self.passed else 'beyond'} D = {self.deadline}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a task was accepted, and why."""

    name: str
    kind: Kind
    accepted: bool
    reason: str
    record: Record
    checks: tuple[Check, ...] = ()  #: in the order in which the board made them, up to the decisive one of each test

    def __str__(self) -> str:
        word = "accepted" if self.accepted else "refused"
        return "; ".join([f"{self.name} {word}: {self.reason}", *map(str, self.checks)])


class Admission:
    """The admission control of one board since its boot."""

    def __init__(self, generation: str, *, cores: int = 2) -> None:
        self.generation = board(generation).name
        self.rule = RULES.get(generation)
        self.cores = cores
        self._seen: dict[str, Record] = {}

    def admit(self, entries: Iterable[Entry], ready: Iterable[Ready] = ()) -> list[Verdict]:
        """Decide on the tasks of one SEND_DESCS, in document order (5.1).

        The run-queue buffer of core 1 is emptied and refilled from `ready`, as far as the names were ever described.
        """
        if self.rule is None:
            return [
                Verdict(name, "hi", accepted=True, reason="no admission control", record=_plain(name, description))
                for name, description in entries
            ]
        buffer = [
            self._seen[name]._replace(priority=_signed(deadline_us))
            for name, deadline_us in ready
            if name in self._seen
        ]
        verdicts = []
        for name, description in entries:
            record, kind = record_of(self.rule, name, description)
            self._seen.setdefault(name, record)
            verdict = self._decide(record, kind, buffer)
            verdicts.append(verdict)
            if verdict.accepted:
                buffer.append(record)
        return verdicts

    def _decide(self, record: Record, kind: Kind, buffer: Sequence[Record]) -> Verdict:
        if self.cores < 2:
            return Verdict(record.name, kind, accepted=False, reason="admission addresses core 1", record=record)
        if kind == "lo":
            return Verdict(record.name, kind, accepted=True, reason="EDF tasks aren't tested", record=record)
        return examine(record, buffer, kind)


def instance_name(task_id: int, pkg: str) -> str:
    """Return the name of a task's instance: a prefix of three characters and the program (2.4)."""
    return f"{task_id:02d}."[:3] + pkg


def record_of(rule: Rule, name: str, description: Mapping[str, Any]) -> tuple[Record, Kind]:
    """Return the admission record of a description and its kind (5.1, after the clamp of 7.2)."""
    record = _plain(name, description)
    kind: Kind = "hi"
    if rule.edf == "priority 128":
        kind = "lo" if record.priority == _EDF_G1O else "hi"
    elif rule.edf == "deadline at priority 127":
        priority = record.priority if 0 <= record.priority <= _EDF_G3B else 0
        record = record._replace(priority=priority, deadline=record.deadline if priority == _EDF_G3B else 0)
    if rule.edf.startswith("deadline"):
        kind = "lo" if record.deadline else "hi"
    return record._replace(deadline=record.deadline * rule.deadline_factor % _U32), kind


def _plain(name: str, description: Mapping[str, Any]) -> Record:
    numbers = (int(description.get(key, 0)) % _U32 for key in ("executiontime", "period", "deadline", "priority"))
    cost, period, deadline, priority = numbers
    return Record(name, cost, period, deadline, _signed(priority))


def _signed(word: int) -> int:
    """Return a 32-bit word as the board's `int` sees it."""
    return (word + _U32 // 2) % _U32 - _U32 // 2


def examine(candidate: Record, buffer: Sequence[Record], kind: Kind = "hi") -> Verdict:
    """Decide on one candidate: the sufficient test, and where that fails response-time analysis (5.1)."""
    if not buffer:
        return Verdict(candidate.name, kind, accepted=True, reason="the buffer is empty", record=candidate)
    simple = sufficient_test(candidate, buffer)
    if simple is None:
        return Verdict(candidate.name, kind, accepted=True, reason="the sufficient test passes", record=candidate)
    checks = response_time_test(candidate, buffer)
    accepted = all(check.passed for check in checks)
    reason = "response-time analysis passes" if accepted else "sufficient test and response-time analysis fail"
    return Verdict(candidate.name, kind, accepted, reason, candidate, (simple, *checks))


def sufficient_test(candidate: Record, buffer: Sequence[Record]) -> Check | None:
    """Return the first bound that exceeds its deadline, None if the test passes (5.2).

    The candidate is added once for each less urgent element and tested with that growing load; an overload makes the
    denominator negative, so that it passes; NaN passes.
    """
    load = work = 0.0

    def exceeds(task: Record) -> Check | None:
        bound = _divide(task.cost + work, 1 - load)
        failed = bound > task.deadline
        return Check("sufficient", task.name, (bound,), task.deadline, passed=False) if failed else None

    for element in buffer:
        # The candidate stands in front of each element that it is as urgent as.
        for task in (candidate, element) if candidate.priority >= element.priority else (element,):
            found = exceeds(task)
            if found:
                return found
            load += task.utilization
            work += task.cost * (1 - task.utilization)
    return exceeds(candidate) if candidate.priority < buffer[-1].priority else None


def response_time_test(candidate: Record, buffer: Sequence[Record]) -> tuple[Check, ...]:
    """Return the checks of response-time analysis up to the first that fails (5.3).

    The candidate isn't checked where it belongs in front of all or directly behind the first element; equally urgent
    elements are checked with the candidate as interference.
    """
    checks = []
    for task, above in _places(candidate, buffer):
        checks.append(_response_time(task, above))
        if not checks[-1].passed:
            break
    return tuple(checks)


def _places(candidate: Record, buffer: Sequence[Record]) -> Iterable[tuple[Record, Sequence[Record]]]:
    """Yield who is checked, with the interfering records in the order in which they are summed."""
    urgency = candidate.priority
    if urgency < buffer[-1].priority:
        yield candidate, buffer
        return
    for place, element in enumerate(buffer):
        if element.priority <= urgency:
            yield element, [*buffer[:place], candidate]
        elif place > 0 and place + 1 < len(buffer) and urgency >= buffer[place + 1].priority:
            yield candidate, buffer[: place + 1]


def _response_time(task: Record, above: Sequence[Record]) -> Check:
    response = task.cost
    iterates = [response]
    passed = False
    for _ in range(_MOST_ITERATES):
        following = _iterate(task, above, response)
        if len(iterates) > _KEPT:
            iterates.pop()
        iterates.append(following)
        passed = following <= task.deadline and following <= response
        if passed or following > task.deadline:
            break
        response = following
    return Check("response time", task.name, tuple(iterates), task.deadline, passed)


def _iterate(task: Record, above: Sequence[Record], response: int) -> int:
    total = task.cost
    for other in above:
        jobs = _divide(response, other.period)
        if math.isfinite(jobs):
            jobs = math.ceil(jobs)
        total = _to_u64(float(total) + float(jobs) * other.cost)
    return total


def _to_u64(value: float) -> int:
    """Convert as the processor does: truncated, saturated, NaN to 0."""
    if math.isnan(value):
        return 0
    return min(int(value), _U64_MAX) if value < math.inf else _U64_MAX


def _divide(numerator: float, denominator: float) -> float:
    """Divide as IEEE 754 says, also by zero (which is +0 wherever these tests get one)."""
    if denominator:
        return numerator / denominator
    if math.isnan(numerator) or not numerator:
        return math.nan
    return math.copysign(math.inf, numerator)
