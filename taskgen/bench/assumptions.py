"""One run beside its prediction: what differs, and which assumption of the model that is put down to.

Jobs are matched as in `taskgen.testing.against`. What differs by more than the stamps (two units, as both sides cut
theirs) and 2 % of a duration is put down to one of these:

release times: a job is born at another time, or only on one side, and no sibling was in the way;
admission: a job was refused on one side only;
execution times: a job takes longer or shorter, and it was undisturbed (no other task's job lived meanwhile; or only
    less urgent ones, none of which began or ended), or its executed time is known to differ, or its task's undisturbed
    jobs are off by the same factor;
order: two ends are the other way round, further apart than the tolerance on both sides;
kills: one side killed the job, the other one didn't;
delays of siblings: what is left where siblings began or ended meanwhile: the creation and teardown of other tasks'
    jobs at the system's level (wire-protocol 6.7) is modelled by constants of one board.

What comes later in a run follows from what was first, so the first difference in time counts; behind the first instant
at which two correct targets may decide differently (`taskgen.testing.side_by_side.Undecided`) none is put down to
anything.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Final, NamedTuple

from taskgen.events import EventType
from taskgen.testing.properties.jobs import tasks_of
from taskgen.testing.properties.law import Tolerance
from taskgen.testing.runs import Executed
from taskgen.testing.side_by_side import CUT, Both, Life, Pair, SideBySide
from taskgen.units import format_ms

#: The assumptions of the model.
RELEASES: Final = "release times"
ADMISSION: Final = "admission"
EXECUTION: Final = "execution times"
ORDER: Final = "order"
KILLS: Final = "kills"
SIBLINGS: Final = "delays of siblings"
ASSUMPTIONS: Final = (RELEASES, ADMISSION, EXECUTION, ORDER, KILLS, SIBLINGS)
#: Outcomes that are kills.
KILLED: Final = frozenset({EventType.EXIT_CRITICAL, EventType.EXIT_PERIOD})
#: So many differences of a run are looked at, the first ones.
MOST_BREAKS: Final = 100

#: A duration may be off by one part in so many: calibrations are.
_SHARE: Final = 50
#: A slow-down explains a job that is off by the same factor, within one part in so many of its duration.
_ALIKE: Final = 20


class Break(NamedTuple):
    """One difference, and the assumption that it is put down to."""

    time_ns: int
    assumption: str
    job: tuple[int, int]
    evidence: str


class _Difference(NamedTuple):
    """A job that is different, and from when on."""

    time_ns: int
    job: tuple[int, int]
    what: str  #: alone, birth, end
    pair: Pair


class Comparison:
    """A run beside its prediction.

    Args:
        measured: the run.
        predicted: the same set, simulated.
        tolerance: of the target's times.
    """

    def __init__(self, measured: Executed, predicted: Executed, tolerance: Tolerance) -> None:
        self._tasks = {task.id: task for task in tasks_of(measured.plan.taskset, predicted)}
        self.runs = SideBySide(self._tasks, predicted, measured, tolerance)
        self._tolerance = tolerance
        self._slack_ns = 2 * tolerance.resolution_ns + tolerance.late_ns
        self._siblings_ns = (len(self._tasks) - 1) * tolerance.sibling_ns
        # Boards tell the START, from which their births were reckoned back.
        self._before_start_ns = [
            tolerance.release_delay_ns if trace.capabilities.job_numbers == "starts" else 0
            for trace in (predicted, measured)
        ]
        self._executed = [
            {(job.task_id, job.index): job.executed_ns for job in trace.jobs} for trace in (predicted, measured)
        ]
        self._pairs = [pair for pairs in self.runs.pairs.values() for pair in pairs]
        self._both: list[Both] = [pair for _, some in self.runs.both() for pair in some]
        self._sides = [_Side([life for pair in self._pairs if (life := pair[side])]) for side in (0, 1)]
        self._factors = self._undisturbed_factors()
        self._slowness = 1.0

    def durations_ns(self, both: Both) -> tuple[int, int]:
        """Return how long a job took from its START, predicted and measured."""
        return both[0].lasted_ns - self._before_start_ns[0], both[1].lasted_ns - self._before_start_ns[1]

    @property
    def slowness(self) -> tuple[float, ...]:
        """By which factor undisturbed jobs are slower than predicted: the median of each task that had some."""
        return tuple(self._factors.values())

    def breaks(self, slowness: float = 1.0) -> list[Break]:
        """Return the first differences, in the order of time, with the assumptions that are to blame.

        Args:
            slowness: of the target, for tasks of which no job was undisturbed: what other runs say.
        """
        self._slowness = median(self._factors.values()) if self._factors else slowness
        cut_ns = min(self.runs.cuts_ns)
        found = sorted(each for each in [*self._alone(), *self._births(), *self._ends()] if each.time_ns <= cut_ns)
        return [self._judged(each) for each in found[:MOST_BREAKS]]

    # -- what is different ---------------------------------------------------------------------------------------------

    def _alone(self) -> Iterator[_Difference]:
        for pair in self._pairs if self.runs.told else ():
            life = pair[0] or pair[1]
            if life is not None and None in pair and life.birth_ns + self.runs.spread_ns < self.runs.until_ns:
                yield _Difference(life.birth_ns, life.job, "alone", pair)

    def _births(self) -> Iterator[_Difference]:
        for ours, theirs in self._both:
            if _refused(ours) != _refused(theirs) or abs(theirs.birth_ns - ours.birth_ns) > self._slack_ns:
                yield _Difference(min(ours.birth_ns, theirs.birth_ns), ours.job, "birth", (ours, theirs))

    def _ends(self) -> Iterator[_Difference]:
        for ours, theirs in self._both:
            if ours.end_ns is None or theirs.end_ns is None or CUT in {ours.outcome, theirs.outcome}:
                continue
            killed = [each.outcome in KILLED for each in (ours, theirs)]
            predicted_ns, measured_ns = self.durations_ns((ours, theirs))
            late = abs(measured_ns - predicted_ns) > self._slack_ns + predicted_ns // _SHARE
            if killed[0] != killed[1] or (late and not killed[0]):
                yield _Difference(min(ours.end_ns, theirs.end_ns), ours.job, "end", (ours, theirs))

    # -- why -----------------------------------------------------------------------------------------------------------

    def _judged(self, found: _Difference) -> Break:
        ours, theirs = found.pair
        if ours is None or theirs is None:
            life, side = (ours, "predicted") if theirs is None else (theirs, "measured")
            assert life is not None  # noqa: S101  # one of them is there
            assumption, what = ADMISSION if _refused(life) else RELEASES, f"was only {side}: {life.told}"
        elif found.what == "birth":
            assumption, what = self._judged_birth(ours, theirs)
        else:
            assumption, what = self._judged_end(ours, theirs)
        return Break(found.time_ns, assumption, found.job, f"{_name(found.job)} {what}")

    def _judged_birth(self, ours: Life, theirs: Life) -> tuple[str, str]:
        if _refused(ours) != _refused(theirs):
            return ADMISSION, f"has {theirs.told}, predicted was {ours.told}"
        late_ns = theirs.birth_ns - ours.birth_ns
        since_ns = theirs.birth_ns - abs(late_ns) - self._tolerance.sibling_ns
        crowded = self._sides[1].events(ours.job[0], since_ns, theirs.birth_ns)
        what = f"began {format_ms(abs(late_ns))} ms {'later' if late_ns > 0 else 'earlier'} than predicted"
        return SIBLINGS if crowded and abs(late_ns) <= self._siblings_ns else RELEASES, what

    def _judged_end(self, ours: Life, theirs: Life) -> tuple[str, str]:
        killed = theirs.outcome in KILLED
        if killed != (ours.outcome in KILLED):
            slow = self._is_slow(ours, theirs, killed=killed)
            return EXECUTION if slow else KILLS, f"has {theirs.told}, predicted was {ours.told}"
        assumption, why = self._blamed(ours, theirs)
        predicted_ns, measured_ns = self.durations_ns((ours, theirs))
        return assumption, f"took {format_ms(measured_ns)} ms instead of {format_ms(predicted_ns)} ms: {why}"

    def _blamed(self, ours: Life, theirs: Life) -> tuple[str, str]:
        task_id = ours.job[0]
        predicted_ns, measured_ns = self.durations_ns((ours, theirs))
        executed = [some.get(ours.job) for some in self._executed]
        if executed[0] is not None and executed[1] is not None and executed[0] != executed[1]:
            return EXECUTION, f"it executed {format_ms(executed[1])} ms instead of {format_ms(executed[0])} ms"
        if self._is_undisturbed(ours, theirs):
            return EXECUTION, "nothing else was in its way"
        factor = self._factor(task_id)
        if _matters(factor):
            expected_ns = int(predicted_ns * factor)
            if abs(measured_ns - expected_ns) <= self._slack_ns + expected_ns // _ALIKE:
                return EXECUTION, f"undisturbed jobs take {factor:.2f} times as long as predicted"
        if (other := self._swapped(ours, theirs)) is not None:
            return ORDER, f"its end and that of {_name(other.job)} are the other way round"
        meanwhile = self._sides[1].events(task_id, theirs.birth_ns, theirs.end_ns or 0)
        if meanwhile and abs(measured_ns - predicted_ns) <= self._siblings_ns:
            return SIBLINGS, "siblings began or ended meanwhile"
        return EXECUTION, "no other reason is in sight"

    # -- what was in the way -------------------------------------------------------------------------------------------

    def _undisturbed_factors(self) -> Mapping[int, float]:
        """Return by which factor the undisturbed jobs of a task are slower than predicted, by task."""
        ratios: defaultdict[int, list[float]] = defaultdict(list)
        for ours, theirs in self._both:
            completed = ours.outcome is EventType.EXIT and theirs.outcome is EventType.EXIT
            predicted_ns, measured_ns = self.durations_ns((ours, theirs))
            if completed and predicted_ns > 0 and self._is_undisturbed(ours, theirs):
                ratios[ours.job[0]].append(measured_ns / predicted_ns)
        return {task_id: median(some) for task_id, some in ratios.items()}

    def _factor(self, task_id: int) -> float:
        return self._factors.get(task_id, self._slowness)

    def _is_slow(self, ours: Life, theirs: Life, *, killed: bool) -> bool:
        """Whether the speed of the target explains that only one side killed a job."""
        factor = self._factor(ours.job[0])
        if not _matters(factor):
            return self._is_undisturbed(ours, theirs) and theirs.lasted_ns != ours.lasted_ns
        return factor > 1 if killed else factor < 1

    def _is_undisturbed(self, ours: Life, theirs: Life) -> bool:
        return all(
            not side.events(life.job[0], life.birth_ns, life.end_ns or life.birth_ns)
            and all(self._is_above(life.job[0], other) for other in side.around(life))
            for side, life in zip(self._sides, (ours, theirs), strict=True)
        )

    def _is_above(self, task_id: int, other_id: int) -> bool:
        """Whether a task is more urgent than another one, for sure."""
        task, other = self._tasks.get(task_id), self._tasks.get(other_id)
        if task is None or other is None or task.deadline_ns or other.deadline_ns:
            return False
        return task.priority is not None and other.priority is not None and task.priority < other.priority

    def _swapped(self, ours: Life, theirs: Life) -> Life | None:
        """Return a job of another task whose end is on the other side of this one's, clearly on both sides."""
        for other, there in self._both:
            if other.job[0] == ours.job[0] or other.end_ns is None or there.end_ns is None:
                continue
            before_ns, after_ns = (ours.end_ns or 0) - other.end_ns, (theirs.end_ns or 0) - there.end_ns
            if before_ns * after_ns < 0 and min(abs(before_ns), abs(after_ns)) > self._slack_ns:
                return other
        return None


class _Side:
    """The jobs of one side, by time."""

    def __init__(self, lives: list[Life]) -> None:
        self._lives = sorted((life.birth_ns, life.end_ns or life.birth_ns, life.job[0]) for life in lives)
        self._longest_ns = max((end_ns - birth_ns for birth_ns, end_ns, _ in self._lives), default=0)
        self._events = sorted(
            (time_ns, task) for birth_ns, end_ns, task in self._lives for time_ns in (birth_ns, end_ns)
        )

    def events(self, task_id: int, from_ns: int, to_ns: int) -> bool:
        """Whether jobs of other tasks began or ended in a stretch of time."""
        first, last = bisect_left(self._events, (from_ns, -1)), bisect_right(self._events, (to_ns, 1 << 62))
        return any(task != task_id for _, task in self._events[first:last])

    def around(self, life: Life) -> set[int]:
        """Return the tasks of which a job lives before, during and after a life."""
        first = bisect_left(self._lives, (life.birth_ns - self._longest_ns,))
        last = bisect_left(self._lives, (life.birth_ns,))
        end_ns = life.end_ns or life.birth_ns
        return {task for _, end, task in self._lives[first:last] if end > end_ns and task != life.job[0]}


def _matters(factor: float) -> bool:
    return abs(factor - 1) * _SHARE > 1


def _refused(life: Life) -> bool:
    return life.outcome is EventType.NOT_SCHEDULED


def _name(job: tuple[int, int]) -> str:
    return f"job {job[1]} of task {job[0]}"
