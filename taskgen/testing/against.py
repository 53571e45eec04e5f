"""Differential mode: one set on a simulator, the oracle, and on a board, the witness; equal order, not equal times.

Both runs have the same horizon. What is compared, with S = `Tolerance.spread_ns` of the witness (its stamps'
resolution, and what its siblings may delay an event by; wire-protocol 6.7), 0 for a simulator, and longer by the
creation of a process where the oracle is `ideal`:

**Jobs.** The k-th job of a task on one side is the k-th on the other: its birth, its end, how it ended (EXIT, a kind of
kill, refused). A birth is the release; boards don't tell it, so there it is the release attempt: START minus the
creation of the process (wire-protocol 6.2). An end later than the other by at most S beside the same birth is *slower
within the bound*, up to the resolution it is equal; later than that is a difference of order, as its end is behind
instants that the oracle has behind it. An earlier end is none: C is a bound.

**Order.** Of two births or ends, of any tasks, that the oracle has further apart than S, the witness mustn't have the
second one first. What is closer may swap. If no event of the witness is off by more than S, that never happens.

**Misses.** The oracle's are those of `taskgen.trace.Job.missed` where it knows arrivals (`ideal`). On a board the
deadline is the release attempt + D (D = T if not given), and the attempt may be late by S itself, and by a teardown of
the task's own last job: who completes later than that by more than S has missed, who is earlier by at least both has
met it, in between nothing is claimed. Who is killed has missed. Only one misses: both claim something, not the same.

**Undecided.** Within S a correct board may decide either way, and what follows may differ by more. So nothing is
compared behind the first instant at which one of these is decided differently; `Difference.unclaimed` names it:

- a completion or a kill (EXIT_CRITICAL, EXIT_PERIOD, on G3a an end that nobody tells), both within S after the birth;
- a job that the optimiser of one side alone denied, after a job of which nobody can say whether it missed;
- a release that one side passed over: on the other it came within S and a teardown of the end of the job before;
- an end, and the birth of a job of another task within S of it on one side: which is first decides whether that one
  preempts; what the other side's job lasts longer must be explained by S and the C of all those born meanwhile;
- two deadlines of EDF tasks within S; or one, and an end (an expired one yields, wire-protocol 7.1).

**The end of a run.** What one side cuts off (EXIT_EXTERNAL) lasted at least that long; a job that only one side has
counts if it was born more than S before the earlier end of both runs.

**G1 and G1o** don't tell how jobs end, and jobs may be missing (`hil.derive.LOSSES`; `Capabilities.outcomes`). Their
jobs are those of the oracle that were born within S, an end is compared where they have one, and nothing is claimed
about a job that only the oracle has. S is longer by a teardown, as their STARTs are derived from arrivals.

A wide S (several tasks) claims little: jobs that take longer than S, and few of them, tell most.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from taskgen.errors import UsageError
from taskgen.events import EventType
from taskgen.session import Capabilities, Target
from taskgen.taskset import TaskSet
from taskgen.testing.properties.jobs import tasks_of
from taskgen.testing.properties.law import MOST_VIOLATIONS, Tolerance, Violation
from taskgen.testing.runs import Executed
from taskgen.testing.side_by_side import CUT, NEVER, REFUSED, Life, Pair, SideBySide, lives
from taskgen.units import format_ms

#: How far a witness is from its oracle: not at all; later, within the tolerance; events in another order, other jobs or
#: ends; a deadline that only one of both misses.
Degree: TypeAlias = Literal["agree", "slower", "order", "misses"]
DIFFERENCES: Final[tuple[Degree, ...]] = get_args(Degree)


class Difference(NamedTuple):
    """What the comparison of two runs says."""

    verdict: Degree
    details: tuple[str, ...]  #: a line for each difference: job, time, what the oracle has, what the witness has
    found: tuple[Violation, ...] = ()  #: those beyond the tolerance
    unclaimed: tuple[str, ...] = ()  #: a line for each part of the runs about which nothing is said, and why

    def violations(self) -> list[Violation]:
        """Return the differences beyond the tolerance; to be slower within it is none."""
        return list(self.found)


def compare(taskset: TaskSet, oracle: Executed, witness: Executed, tolerance: Tolerance) -> Difference:
    """Compare what a witness made of a set with what the oracle made of it; see the text of this module.

    Args:
        taskset: the concrete set that both have run, with the same horizon.
        oracle: the run that is right.
        witness: the run in question.
        tolerance: of the witness's times, `Tolerance.of` its options.
    """
    tasks = {task.id: task for task in tasks_of(taskset, oracle)}
    comparison = _Comparison(SideBySide(tasks, oracle, witness, tolerance))
    found = sorted(comparison.found(), key=lambda each: (-DIFFERENCES.index(each.degree), each.time_ns))
    beyond = [each for each in found if each.degree in {"order", "misses"}][:MOST_VIOLATIONS]
    return Difference(
        verdict=found[0].degree if found else "agree",
        details=tuple(map(str, found[:MOST_VIOLATIONS])),
        found=tuple(Violation(each.job, each.time_ns, f"{each.oracle} (oracle)", each.witness) for each in beyond),
        unclaimed=tuple(comparison.unclaimed()),
    )


def oracle_for(
    witness: Target,
    generation: str,
    capabilities: Capabilities,
    *,
    against: str = "sim",
    options: Mapping[str, Any] | None = None,
) -> Target:
    """Return the simulator that plays the oracle of a target.

    That is the profile of its generation, with as many cores and the same workload; `ideal` has one core, since boards
    put all tasks on one unless told otherwise.

    Args:
        witness: the target.
        generation: that of its board (`G4`), or the profile of a simulator; empty: `ideal`, of a simulator.
        capabilities: of a session on it.
        against: sim, or another simulator: `sim:ideal`, `sim:G4`.
        options: further options of the oracle (`policy` ...), which count more.

    Raises:
        UsageError: `against` is no simulator, or the generation isn't known.
    """
    session, colon, profile = against.partition(":")
    if session != "sim" or bool(colon) is not bool(profile):
        raise UsageError(
            f"against {against!r:.60}: is no oracle, expected sim or sim:PROFILE",
            hint="sim is the profile of the target's generation; sim:ideal knows neither boards nor their delays",
        )
    own = generation or ("ideal" if witness.session == "sim" else "")
    chosen = profile or own
    if chosen in {"", "auto"}:
        raise UsageError(
            f"{witness}: its generation isn't known, so neither is its oracle",
            hint="name the oracle's profile, such as sim:G4, or the target's dialect",
        )
    cores = 1 if chosen == "ideal" and chosen != own else capabilities.cores
    shared = {name: witness.options[name] for name in _SHARED if name in witness.options}
    return Target("sim", "", {**shared, "profile": chosen, "cores": cores, **(options or {})})


#: Options of a witness that say what is run, not how it is scheduled.
_SHARED: Final = ("destroy_at_exit", "execution", "migration", "partition", "seed", "workload")


class _Found(NamedTuple):
    """One difference."""

    degree: Degree
    job: tuple[int, int]
    time_ns: int
    oracle: str
    witness: str

    def __str__(self) -> str:
        task_id, index = self.job
        where = f"job {index} of task {task_id} at {format_ms(self.time_ns)} ms"
        return f"{where}: the oracle has {self.oracle}; the witness has {self.witness}"


class _Event(NamedTuple):
    """A birth or an end that both sides have."""

    oracle_ns: int
    witness_ns: int
    job: tuple[int, int]
    what: str


class _Comparison:
    """What is different between two runs."""

    def __init__(self, runs: SideBySide) -> None:
        self._runs = runs
        self._told = runs.told
        self._spread_ns = runs.spread_ns
        self._cuts_ns = runs.cuts_ns

    def unclaimed(self) -> Iterator[str]:
        """Yield what nothing is said about."""
        if not self._told:
            yield "how jobs end where the target doesn't tell, and jobs that only the oracle has"
        if self._runs.stopped:
            yield f"whatever is behind {format_ms(self._runs.until_ns)} ms: a run was stopped there"
        if self._runs.undecided is not None:
            yield f"whatever is behind {format_ms(self._cuts_ns[0])} ms; undecided is {self._runs.undecided.why}"

    def found(self) -> list[_Found]:
        """Return the differences, of each kind some at least."""
        kinds = [self._disorder()]
        for pairs in self._runs.pairs.values():
            kinds += [self._alone(pairs), self._ends(lives(pairs))]
        return [each for kind in kinds for each in islice(kind, MOST_VIOLATIONS)]

    def _alone(self, pairs: Iterable[Pair]) -> Iterator[_Found]:
        for ours, theirs in pairs:
            if theirs is None and ours is not None and self._told and self._counts(ours, self._cuts_ns[0]):
                yield _Found("order", ours.job, ours.birth_ns, _born(ours), "no such job")
            elif ours is None and theirs is not None and self._counts(theirs, self._cuts_ns[1]):
                yield _Found("order", theirs.job, theirs.birth_ns, "no such job", _born(theirs))

    def _counts(self, life: Life, cut_ns: int) -> bool:
        return life.birth_ns < cut_ns and life.birth_ns + self._spread_ns < self._runs.until_ns

    def _ends(self, both: Iterable[tuple[Life, Life]]) -> Iterator[_Found]:
        for ours, theirs in both:
            degree = self._degree(ours, theirs)
            if degree != "agree":
                time_ns = theirs.birth_ns if theirs.end_ns is None else theirs.end_ns
                yield _Found(degree, ours.job, time_ns, ours.told, theirs.told)

    def _degree(self, ours: Life, theirs: Life) -> Degree:
        """Return what the ends of a job differ in."""
        if not self._told and (ours.end_ns is None or theirs.end_ns is None):
            return "agree"
        if ours.end_ns is None or theirs.end_ns is None:
            is_equal = ours.end_ns is theirs.end_ns or NEVER not in self._cuts_ns
            return "agree" if is_equal else "order"
        if ours.end_ns >= self._cuts_ns[0] or theirs.end_ns >= self._cuts_ns[1]:
            return "agree"
        if None not in {ours.missed, theirs.missed} and ours.missed != theirs.missed:
            return "misses"
        longer_ns = theirs.lasted_ns - ours.lasted_ns
        if ours.outcome is CUT:
            return "agree"
        if theirs.outcome is CUT:
            return "order" if longer_ns > self._spread_ns else "agree"
        if not self._is_same(ours.outcome, theirs.outcome) or longer_ns > self._spread_ns:
            return "order"
        return "slower" if longer_ns > self._runs.tolerance.resolution_ns else "agree"

    def _is_same(self, ours: EventType | None, theirs: EventType | None) -> bool:
        # Who derives ends from threads takes an error for a completion.
        errors = {EventType.EXIT, EventType.EXIT_ERROR}
        return ours is theirs or (not self._told and {ours, theirs} <= errors)

    def _events(self) -> Iterator[_Event]:
        """Yield the births and ends that both sides have, as far as they are compared."""
        for pairs in self._runs.pairs.values():
            for ours, theirs in lives(pairs):
                yield _Event(ours.birth_ns, theirs.birth_ns, ours.job, "birth")
                comparable = ours.outcome not in {CUT, None} and self._is_same(ours.outcome, theirs.outcome)
                if comparable and ours.end_ns is not None and theirs.end_ns is not None:
                    yield _Event(ours.end_ns, theirs.end_ns, ours.job, "end")

    def _disorder(self) -> Iterator[_Found]:
        """Yield each event that the witness has before one that the oracle has more than the tolerance before it."""
        cut_ns, their_cut_ns = self._cuts_ns
        events = sorted(each for each in self._events() if each.oracle_ns < cut_ns and each.witness_ns < their_cut_ns)
        earlier = iter(events)
        following = next(earlier, None)
        last: _Event | None = None  # of those that must be before: the last one on the side of the witness
        for event in events:
            while following is not None and following.oracle_ns < event.oracle_ns - self._spread_ns:
                if last is None or following.witness_ns > last.witness_ns:
                    last = following
                following = next(earlier, None)
            if last is not None and last.witness_ns > event.witness_ns:
                yield _Found("order", event.job, event.witness_ns, *_swapped(event, last))


def _born(life: Life) -> str:
    return "NOT_SCHEDULED" if life.outcome is REFUSED else "START"


def _swapped(event: _Event, last: _Event) -> tuple[str, str]:
    who = f"{last.what} of job {last.job[1]} of task {last.job[0]}"
    expected = (
        f"its {event.what} at {format_ms(event.oracle_ns)} ms, behind the {who} at {format_ms(last.oracle_ns)} ms"
    )
    return expected, f"it at {format_ms(event.witness_ns)} ms, before that one at {format_ms(last.witness_ns)} ms"
