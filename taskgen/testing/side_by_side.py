"""Two runs of one set side by side: which job is which, and from where on two correct targets may differ.

`taskgen.testing.against` compares them, and says what the terms mean.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, chain, islice, pairwise, zip_longest
from typing import Final, NamedTuple, TypeAlias

from taskgen.events import ENDINGS, EventType
from taskgen.parameters import Parameters
from taskgen.testing.properties.jobs import by_task
from taskgen.testing.properties.law import Tolerance
from taskgen.testing.runs import Executed
from taskgen.trace import Job
from taskgen.units import format_ms

#: The outcome of a job that the end of the run cut off.
CUT: Final = EventType.EXIT_EXTERNAL
REFUSED: Final = EventType.NOT_SCHEDULED
#: Ends that count as a miss, whenever they come.
KILLS: Final = ENDINGS - {EventType.EXIT, REFUSED, CUT}
#: Ends that are a matter of time alone; None: one that G3a doesn't tell.
_BY_TIME: Final = frozenset({EventType.EXIT, EventType.EXIT_CRITICAL, EventType.EXIT_PERIOD, None})
#: Behind all times.
NEVER: Final = 1 << 63


class Life(NamedTuple):
    """A job, as one side tells it."""

    job: tuple[int, int]  #: task id and number
    birth_ns: int  #: its release (attempt); of one that was refused, the refusal
    end_ns: int | None  #: None: nobody knows
    outcome: EventType | None
    missed: bool | None  #: None: nothing is claimed

    @property
    def lasted_ns(self) -> int:
        """How long it lived; only of a job whose end is known."""
        return (self.end_ns or 0) - self.birth_ns

    @property
    def told(self) -> str:
        """What became of it, for people."""
        if self.end_ns is None:
            return "no end"
        claim = {True: ", missed", False: ", in time", None: ""}[self.missed]
        return f"{self.outcome or 'an end that nobody tells'} after {format_ms(self.lasted_ns)} ms{claim}"


#: A job on both sides, or None where one side has it alone: the oracle's, then the witness's.
Pair: TypeAlias = tuple[Life | None, Life | None]
Both: TypeAlias = tuple[Life, Life]


class Undecided(NamedTuple):
    """An instant, on both sides, from which on two correct targets may differ."""

    oracle_ns: int
    witness_ns: int
    why: str


class _Point(NamedTuple):
    """An instant at which a scheduler may decide anew: a birth, or a deadline that passes."""

    times_ns: tuple[int, int]  #: on either side
    task_id: int
    what: str


class SideBySide:
    """The runs of an oracle and a witness, job by job.

    Attributes:
        tasks: of the set, by id.
        tolerance: of the witness's times.
        spread_ns: S, by which an event of the witness may be off.
        stopped: one of the runs was stopped.
        told: both sides tell how jobs end.
        until_ns: the earlier end of the two runs.
        pairs: the jobs of each task, in order.
        undecided: the first instant behind which nothing is compared, if there is one.
        cuts_ns: that instant on either side; `NEVER` where there is none.
    """

    def __init__(
        self, tasks: Mapping[int, Parameters], oracle: Executed, witness: Executed, tolerance: Tolerance
    ) -> None:
        runs = (oracle, witness)
        self._oracle = oracle
        self.tasks = tasks
        self.tolerance = tolerance
        self.told = all(run.capabilities.outcomes for run in runs)
        self.spread_ns = tolerance.spread_ns(len(tasks) - self.told)
        if [run.capabilities.job_numbers for run in runs] == ["releases", "starts"]:
            self.spread_ns += tolerance.release_delay_ns  # the oracle's jobs needn't be created
        self.stopped = any(run.stopped for run in runs)
        self.until_ns = min(run.end_ns if run.stopped else run.plan.horizon.time_ns for run in runs)
        ours, theirs = ({id_: self._lives(jobs, run) for id_, jobs in by_task(run).items()} for run in runs)
        self.pairs = {id_: list(self._paired(ours.get(id_, []), theirs.get(id_, []))) for id_ in {**ours, **theirs}}
        self._both = {id_: list(lives(pairs)) for id_, pairs in self.pairs.items()}
        undecided = [*self._toss_ups(), *self._passed_over(), *self._denials(), *self._swaps(), *self._deadline_swaps()]
        self.undecided = min(undecided, default=None)
        self.cuts_ns = (
            min((each.oracle_ns for each in undecided), default=NEVER),
            min((each.witness_ns for each in undecided), default=NEVER),
        )

    # -- jobs ------------------------------------------------------------------------------------------------------

    def _lives(self, jobs: Iterable[Job], run: Executed) -> list[Life]:
        return [self._life(job, run) for job in jobs]

    def _life(self, job: Job, run: Executed) -> Life:
        birth_ns, end_ns, task = job.release_ns, job.finish_ns, self.tasks.get(job.task_id)
        if birth_ns is None:
            delay_ns = self.tolerance.release_delay_ns if run.capabilities.job_numbers == "starts" else 0
            birth_ns = (end_ns or 0) if job.start_ns is None else job.start_ns - delay_ns
        if end_ns is None and self.tolerance.ends_untold and self.told and task is not None and task.period_ns:
            end_ns = birth_ns + task.period_ns  # destroyed at the next release (wire-protocol 6.4, G3a)
        return Life((job.task_id, job.index), birth_ns, end_ns, job.outcome, self._missed(job, run, task, birth_ns))

    def _missed(self, job: Job, run: Executed, task: Parameters | None, birth_ns: int) -> bool | None:
        """Return whether a job has missed its deadline; None: nothing is claimed."""
        if job.outcome in {None, REFUSED} or job.finish_ns is None:
            return None
        exact = run.capabilities.job_numbers == "releases"
        if (exact and run is self._oracle) or job.outcome in KILLS:
            unsure = job.outcome is CUT and not job.missed
            guessed = job.outcome is EventType.EXIT_ERROR and not self.told
            return None if unsure or guessed else job.missed
        relative_ns = None if task is None else task.effective_deadline_ns
        due_ns = job.deadline_ns if exact or relative_ns is None else birth_ns + relative_ns
        if due_ns is None:
            return None
        if job.finish_ns - due_ns > self.spread_ns:
            return True
        # On a board what is left of the task's own last job may have delayed the attempt, too.
        early_ns = self.spread_ns + (0 if exact else self.tolerance.sibling_ns)
        return False if job.outcome is not CUT and due_ns - job.finish_ns >= early_ns else None

    def _paired(self, ours: list[Life], theirs: list[Life]) -> Iterator[Pair]:
        if self.told:
            yield from zip_longest(ours, theirs)
            return
        rest = deque(ours)
        for life in theirs:
            while rest and rest[0].birth_ns < life.birth_ns - self.spread_ns:
                yield rest.popleft(), None
            fits = rest and rest[0].birth_ns <= life.birth_ns + self.spread_ns
            yield (rest.popleft() if fits else None), life
        yield from ((life, None) for life in rest)

    def both(self) -> Iterator[tuple[Parameters | None, list[Both]]]:
        """Yield each task with its jobs that both sides have."""
        return ((self.tasks.get(task_id), both) for task_id, both in self._both.items())

    # -- what is undecided -----------------------------------------------------------------------------------------

    def _toss_ups(self) -> Iterator[Undecided]:
        """Yield ends by time alone that differ, although both came within S."""
        for _, both in self.both():
            for ours, theirs in both:
                if ours.end_ns is None or theirs.end_ns is None or ours.outcome is theirs.outcome:
                    continue
                close = abs(ours.lasted_ns - theirs.lasted_ns) <= self.spread_ns
                if close and {ours.outcome, theirs.outcome} <= _BY_TIME:
                    why = f"whether {_name(ours)} has {ours.told}, or {theirs.told}"
                    yield Undecided(ours.end_ns, theirs.end_ns, why)

    def _passed_over(self) -> Iterator[Undecided]:
        """Yield releases that only one side took, although the job before was hardly over there."""
        for task, both in self.both():
            for before, after in pairwise(both):
                side = 0 if after[0].birth_ns < after[1].birth_ns else 1
                last, tick_ns = before[side], after[side].birth_ns
                if abs(after[0].birth_ns - after[1].birth_ns) <= self.spread_ns or last.end_ns is None:
                    continue
                critical_ns = (task.critical_ns if task is not None else None) or 0
                over_ns = max(last.end_ns, last.birth_ns + critical_ns)  # where the kill timer cleans up (6.5)
                if tick_ns - over_ns <= self.spread_ns + self.tolerance.sibling_ns:
                    why = f"whether {_name(last)} is gone at the next release"
                    yield Undecided(tick_ns, tick_ns, why)

    def _denials(self) -> Iterator[Undecided]:
        """Yield jobs that only one side denied: its optimiser may have counted other misses (wire-protocol 5.4)."""
        all_pairs = list(chain.from_iterable(self._both.values()))
        doubtful = (
            max(ours.end_ns, theirs.end_ns)
            for ours, theirs in all_pairs
            if ours.end_ns is not None
            and theirs.end_ns is not None
            and None in {ours.missed, theirs.missed}
            and REFUSED not in {ours.outcome, theirs.outcome}
        )
        first_ns = min(doubtful, default=NEVER)
        for ours, theirs in all_pairs:
            is_one = (ours.outcome is REFUSED) is not (theirs.outcome is REFUSED)
            if is_one and max(ours.birth_ns, theirs.birth_ns) >= first_ns:
                yield Undecided(ours.birth_ns, theirs.birth_ns, f"whether {_name(ours)} is denied after a miss")

    def _swaps(self) -> Iterator[Undecided]:
        """Yield an end and a point of another task, within S on one side, that have another order on the other."""
        points = list(self._points())
        for near, other in ((0, 1), (1, 0)):
            ordered = sorted(points, key=lambda point: point.times_ns[near])
            times = [point.times_ns[near] for point in ordered]
            work = _Work(self, other)
            for pair in chain.from_iterable(self._both.values()):
                ends_ns = (pair[0].end_ns, pair[1].end_ns)
                if ends_ns[near] is None or ends_ns[other] is None or not work.explains(pair[near], pair[other]):
                    continue
                known_ns = (pair[0].end_ns or 0, pair[1].end_ns or 0)
                first = bisect_left(times, known_ns[near] - self.spread_ns)
                for point in ordered[first : bisect_right(times, known_ns[near] + self.spread_ns)]:
                    ours_ns, theirs_ns = point.times_ns
                    swapped = (ours_ns < known_ns[0]) is not (theirs_ns < known_ns[1])  # completions come first
                    if swapped and point.task_id != pair[0].job[0]:
                        why = f"what is first, the end of {_name(pair[0])} or {point.what}"
                        yield Undecided(min(ours_ns, known_ns[0]), min(theirs_ns, known_ns[1]), why)

    def _points(self) -> Iterator[_Point]:
        for task, both in self.both():
            for ours, theirs in both:
                births_ns = (ours.birth_ns, theirs.birth_ns)
                yield _Point(births_ns, ours.job[0], f"the birth of {_name(ours)}")
                if task is not None and task.deadline_ns:  # an expired one yields to the others (7.1)
                    passed_ns = (births_ns[0] + task.deadline_ns, births_ns[1] + task.deadline_ns)
                    yield _Point(passed_ns, ours.job[0], f"the deadline of {_name(ours)}")

    def _deadline_swaps(self) -> Iterator[Undecided]:
        """Yield two jobs of EDF tasks whose deadlines, within S, are in this order on one side only."""
        known = [(task.deadline_ns, pair) for task, both in self.both() if task and task.deadline_ns for pair in both]
        known.sort(key=lambda each: each[0] + each[1][0].birth_ns)
        for place, (relative_ns, (ours, theirs)) in enumerate(known):
            for other_ns, (ours_2, theirs_2) in islice(known, place + 1, None):
                behind_ns = other_ns + ours_2.birth_ns - relative_ns - ours.birth_ns
                if behind_ns > self.spread_ns:
                    break
                their_behind_ns = other_ns + theirs_2.birth_ns - relative_ns - theirs.birth_ns
                same = behind_ns * their_behind_ns > 0 or behind_ns == their_behind_ns  # else a tie may decide
                if not same and ours.job[0] != ours_2.job[0]:
                    why = f"which deadline is first, that of {_name(ours)} or that of {_name(ours_2)}"
                    yield Undecided(max(ours.birth_ns, ours_2.birth_ns), max(theirs.birth_ns, theirs_2.birth_ns), why)


class _Work:
    """What the jobs that are born in a stretch of one side's time may take from another one."""

    def __init__(self, runs: SideBySide, side: int) -> None:
        self._spread_ns = runs.spread_ns
        births = []
        for task, both in runs.both():
            cost_ns = NEVER if task is None or task.wcet_ns is None else task.wcet_ns + runs.tolerance.sibling_ns
            births += [(pair[side].birth_ns, cost_ns) for pair in both]
        births.sort()
        self._times = [time_ns for time_ns, _ in births]
        self._sums = [0, *accumulate(cost_ns for _, cost_ns in births)]

    def explains(self, other: Life, here: Life) -> bool:
        """Whether a job may live here as long as it does, against the other side, because of those born meanwhile."""
        first = bisect_right(self._times, here.birth_ns)
        last = bisect_right(self._times, here.birth_ns + here.lasted_ns)
        return here.lasted_ns - other.lasted_ns <= self._spread_ns + self._sums[last] - self._sums[first]


def lives(pairs: Iterable[Pair]) -> Iterator[Both]:
    """Yield the jobs that both sides have."""
    return ((ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None)


def _name(life: Life) -> str:
    return f"job {life.job[1]} of task {life.job[0]}"
