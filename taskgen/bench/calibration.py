"""How long programs compute on a target, measured: execution time as a function of `config.arg1`.

One task alone, one job per run: nothing preempts it, and no teardown of a job before it is in the way. Measured is the
time from its first instruction, on boards from its START, to its EXIT, by the target's own stamps.

On a board that is loading and linking the program, its work, its output and the report of its exit. Not in it are the
creation of the process, which is over at START (26 ms), the way to the first instruction that a workload table counts
(`BEFORE_START_NS`, which is added to the constant: simulator and board agree on START and EXIT then), and the teardown
behind EXIT (wire-protocol 6.7). Stamps of boards are cut to whole milliseconds, so a single duration is off by up to
1 ms. Whatever else occupies the board at the system's level, such as a busy network, is in it, too (wire-protocol 7.1).

First the range is scouted, with arguments four times as large each, until the next one would take too long; a job that
does all the same is killed. The arguments to be measured are those where the time grows, and one on either side of
where it begins to. Their repetitions are interleaved and shuffled, so that drift of the target is in no one point.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import isqrt, log, sqrt
from typing import Final, NamedTuple

from taskgen.bench.fitting import Curve, Point, fit
from taskgen.blocks._program import program as block_of
from taskgen.dialect.boards import BOARDS
from taskgen.errors import TargetError, UsageError
from taskgen.events import EventType
from taskgen.taskset import TaskSet
from taskgen.testing.stand import Stand
from taskgen.units import NS_PER_MS, format_ms, short

#: From the creation of a process to its first instruction: in workload tables, not between START and EXIT (6.7).
BEFORE_START_NS: Final = 25 * NS_PER_MS
#: Programs read their argument as u32.
LARGEST_ARGUMENT: Final = 2**32 - 1
MOST_ARGUMENTS: Final = 1000
#: Of one argument, and of one program: a calibration keeps the time of each.
MOST_REPEAT: Final = 1000
MOST_JOBS: Final = 20_000

_RATIO: Final = 4
#: What the time is taken to grow by at most, and at least, as a power of the argument.
_STEEPEST, _FLATTEST = 3.0, 0.5
#: And where it grew only once: a job that takes longer all the same is killed.
_GUESSED: Final = 2.0
#: A growth below this share of the shortest time isn't looked at closely.
_VISIBLE: Final = 50
#: Boards take some time to be ready and to notice that nothing comes.
_SLACK_MS: Final = 6000
#: As an identifier of a task; simulated execution times are drawn by it.
_IDS: Final = 100


@dataclass(frozen=True, slots=True)
class Effort:
    """How thoroughly to measure.

    Args:
        repeat: jobs per argument.
        max_ms: no job is run that would take longer.
        seed: of the order.
        arguments: to measure at; None: find them.
        bound_percent: how far the curve may be off at any point.
    """

    repeat: int = 5
    max_ms: int = 1000
    seed: int = 0
    arguments: tuple[int, ...] | None = None
    bound_percent: Decimal = Decimal(5)

    def __post_init__(self) -> None:
        if self.repeat < 1 or self.max_ms < 1:
            raise UsageError(f"repeat {self.repeat}, max-ms {self.max_ms}: expected at least 1")
        if not self.bound_percent.is_finite() or self.bound_percent < 0:
            raise UsageError(f"bound: {self.bound_percent} is no share in percent")
        if self.repeat > MOST_REPEAT or self.repeat * len(self.arguments or ()) > MOST_JOBS:
            raise UsageError(
                f"repeat {short(self.repeat)}: expected at most {MOST_REPEAT} jobs per argument, {MOST_JOBS} in all"
            )
        arguments = self.arguments
        if arguments is None:
            return
        if not 1 <= len(arguments) <= MOST_ARGUMENTS or not all(0 <= each <= LARGEST_ARGUMENT for each in arguments):
            raise UsageError(
                f"arguments: expected 1..{MOST_ARGUMENTS} whole numbers of at most {LARGEST_ARGUMENT}",
                hint="write --arguments 100,1000,10000",
            )
        object.__setattr__(self, "arguments", tuple(sorted(set(arguments))))


class Residual(NamedTuple):
    """One point beside the curve; times from START to EXIT, in ns."""

    argument: int
    samples_ns: tuple[int, ...]
    measured_ns: int  #: the median
    predicted_ns: int

    @property
    def off_ns(self) -> int:
        """Measured - predicted."""
        return self.measured_ns - self.predicted_ns

    @property
    def percent(self) -> Decimal:
        """The same in percent of what was measured."""
        return percent(self.off_ns, self.measured_ns)


def percent(part_ns: int, whole_ns: int) -> Decimal:
    """Return a share in percent, with three decimals."""
    return Decimal(round(Fraction(100_000 * part_ns, max(1, whole_ns)))).scaleb(-3)


@dataclass(frozen=True, slots=True)
class Fitted:
    """The calibration of one program."""

    program: str
    curve: Curve  #: as a workload table has it
    residuals: tuple[Residual, ...]
    resolution_ns: int
    bound_percent: Decimal

    @property
    def max_percent(self) -> Decimal:
        """The largest residual, without sign."""
        return max(abs(each.percent) for each in self.residuals)

    @property
    def rms_percent(self) -> Decimal:
        """The root of the mean square of the residuals."""
        mean = sum(each.percent**2 for each in self.residuals) / len(self.residuals)
        return Decimal(sqrt(mean)).quantize(Decimal("0.001"))

    @property
    def misfit(self) -> Residual | None:
        """The point with the largest residual, if it is out of bounds; two units of the stamps are no residual."""
        worst = max(self.residuals, key=lambda each: abs(each.percent))
        beyond = abs(worst.percent) > self.bound_percent and abs(worst.off_ns) > 2 * self.resolution_ns
        return worst if beyond else None


def calibrate(
    stand: Stand,
    programs: Sequence[str],
    effort: Effort | None = None,
    *,
    notify: Callable[[str], None] = lambda _: None,
) -> list[Fitted]:
    """Measure programs on a target, and fit their curves.

    Args:
        stand: the target, on which nothing else runs.
        programs: by name, each once.
        effort: how thoroughly.
        notify: is told, in a line, what is going on.

    Raises:
        UsageError: the target doesn't know a program, or not even its shortest job is over in time.
        TargetLost: the target was lost for good.
    """
    effort = effort or Effort()
    bench = _Bench(stand, effort, notify)
    arguments = {name: bench.arguments(name) for name in programs}
    points = bench.points(arguments)
    resolution_ns = stand.session.capabilities.time_resolution_ns
    before_ms = Decimal(before_start_ns(stand.generation)) / NS_PER_MS
    return [_fitted(name, points[name], resolution_ns, before_ms, effort.bound_percent) for name in arguments]


def before_start_ns(generation: str) -> int:
    """Return what a workload table counts and START to EXIT doesn't: nothing where jobs aren't processes."""
    return BEFORE_START_NS if generation in BOARDS else 0


def _fitted(
    name: str, points: Sequence[Point], resolution_ns: int, before_ms: Decimal, bound_percent: Decimal
) -> Fitted:
    curve = fit(points, resolution_ns)
    residuals = tuple(Residual(*each, each.measured_ns, curve.execution_ns(each.argument)) for each in points)
    return Fitted(name, curve.raised(before_ms), residuals, resolution_ns, bound_percent)


class _Bench:
    """Runs single jobs."""

    def __init__(self, stand: Stand, effort: Effort, notify: Callable[[str], None]) -> None:
        self._stand = stand
        self._effort = effort
        self._notify = notify
        self._max_ns = effort.max_ms * NS_PER_MS

    def arguments(self, name: str) -> list[int]:
        """Return the arguments to measure a program with.

        Raises:
            UsageError: not even the smallest is over in time.
        """
        seen = self._scout(name)
        if not seen:
            raise UsageError(
                f"program {name!r}: not even its shortest job came to its end within {2 * self._effort.max_ms} ms",
                hint="a longer --max-ms may help; a program that never ends can't be calibrated",
            )
        if self._effort.arguments is not None:
            return list(seen)
        chosen = _closer(seen)
        self._notify(f"{name}: {len(chosen)} arguments up to {chosen[-1]}, {self._effort.repeat} jobs each")
        return chosen

    def _scout(self, name: str) -> dict[int, int]:
        """Return times by argument, ascending, as far as they are short enough."""
        given = self._effort.arguments
        seen: dict[int, int] = {}
        for argument in _grid() if given is None else given:
            if not self._try(name, argument, seen):
                if given is None and seen:
                    self._try(name, argument // 2, seen)
                break
        return seen

    def _try(self, name: str, argument: int, seen: dict[int, int]) -> bool:
        """Note the time of a job with a larger argument; False: it would take too long, or did."""
        if (expected_ns := _expected_ns(seen, argument)) > self._max_ns:
            self._notify(f"{name}: argument {argument} would take about {format_ms(expected_ns)} ms: left out")
            return False
        took_ns = self._run(name, argument, 0)
        if took_ns is None:
            self._notify(f"{name}: argument {argument} isn't over within {2 * self._effort.max_ms} ms: left out")
            return False
        seen[argument] = took_ns
        return True

    def points(self, arguments: dict[str, list[int]]) -> dict[str, list[Point]]:
        """Measure each program with each argument, in an order that is drawn.

        Raises:
            TargetError: a job that was over in time before isn't any more.
        """
        jobs = [
            (name, argument)
            for name, some in arguments.items()
            for argument in some
            for _ in range(self._effort.repeat)
        ]
        order = list(enumerate(jobs))
        random.Random(self._effort.seed).shuffle(order)
        samples: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
        for number, job in order:
            if (took_ns := self._run(*job, number)) is not None:
                samples[job].append(took_ns)
        for name, some in arguments.items():
            for argument in some:
                if 2 * len(samples[name, argument]) < self._effort.repeat:
                    raise TargetError(
                        f"{self._stand.target}: {name} with argument {argument} came to its end in"
                        f" {len(samples[name, argument])} of {self._effort.repeat} runs",
                        hint="see what else runs on the target; a larger --max-ms lets jobs take longer",
                    )
        return {name: [Point(each, tuple(samples[name, each])) for each in some] for name, some in arguments.items()}

    def _run(self, name: str, argument: int, number: int) -> int | None:
        """Run one job alone and return how long it took; None: it was killed, or nobody tells."""
        limit_ms = 2 * self._effort.max_ms
        task = {**block_of(name, argument), "id": number % _IDS, "priority": 1, "criticaltime": limit_ms}
        trace = self._stand.execute(TaskSet([task]), horizon_ms=limit_ms + _SLACK_MS)
        for job in trace.jobs:
            if job.outcome is EventType.EXIT and job.start_ns is not None and job.finish_ns is not None:
                return job.finish_ns - job.start_ns
        return None


def _grid() -> Iterator[int]:
    argument = 1
    while argument <= LARGEST_ARGUMENT:
        yield argument
        argument *= _RATIO


def _expected_ns(seen: dict[int, int], argument: int) -> int:
    """Return what a job with a larger argument will take, if its time goes on growing as it did."""
    if len(seen) < 2:
        return max(seen.values(), default=0)
    first_ns = min(seen.values())
    (before, before_ns), (last, last_ns) = list(seen.items())[-2:]
    had_ns, grown_ns = before_ns - first_ns, last_ns - first_ns
    if grown_ns * _VISIBLE < first_ns:
        return last_ns
    exponent = _GUESSED
    if had_ns > 0 and before > 0:
        exponent = min(_STEEPEST, max(_FLATTEST, log(grown_ns / had_ns) / log(last / before)))
    return first_ns + int(grown_ns * (argument / last) ** exponent)


def _closer(seen: dict[int, int]) -> list[int]:
    """Return where to measure: the ends of the flat part, and, twice as close, where the time grows."""
    first_ns = min(seen.values())
    flat = [argument for argument, took_ns in seen.items() if (took_ns - first_ns) * _VISIBLE < first_ns]
    growing = [argument for argument in seen if argument > flat[-1]]
    middles = [isqrt(low * high) for low, high in pairwise([flat[-1], *growing])]
    return sorted({flat[0], flat[-1], *growing, *middles})
