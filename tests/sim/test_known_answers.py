"""Published task-sets and what becomes of them, and a few worked out by hand.

Times are milliseconds. Under `fp` the tasks are listed in the order of their priority. Each expected number was
derived again by response-time analysis or by drawing the schedule, and `test_the_analysis_agrees` recomputes what
theory can: it shares no code with the simulator.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pytest

from sim import simulate
from taskgen import TaskSet, Trace
from taskgen.units import NS_PER_MS


class T(NamedTuple):
    """A periodic task: worst-case execution time, period, relative deadline (0: D = T), offset."""

    wcet: int
    period: int
    deadline: int = 0
    offset: int = 0


@dataclass(frozen=True)
class Known:
    """A task-set and its known answer: the largest response time of each task (None: no job completes)."""

    name: str
    source: str
    policy: str
    tasks: tuple[T, ...]
    horizon: int
    response: tuple[int | None, ...]
    misses: int = 0
    first_miss: tuple[int, int] | None = None  #: absolute deadline, task
    tie: Literal["running", "index"] = "running"


LIU_LAYLAND = "Liu & Layland, JACM 20(1), 1973"
BURNS_WELLINGS = "Burns & Wellings, Real-Time Systems and Programming Languages"
BUTTAZZO = "Buttazzo, Hard Real-Time Computing Systems, chapter 4"
JUDGMENT_DAY = "Buttazzo, Rate Monotonic vs. EDF: Judgment Day, Real-Time Systems 29, 2005"
LEHOCZKY = "Lehoczky, Fixed priority scheduling of periodic task sets with arbitrary deadlines, RTSS 1990"
GUAN_YI = "schedcat, tests of the EDF response-time analysis of Guan & Yi, RTSS 2014"
BY_HAND = "computed by hand"

KNOWN = (
    # -- fixed priorities, D <= T
    Known(
        "ll73-figure-2", LIU_LAYLAND + ", figure 2: C2 can grow to 2", "rm", (T(1, 2), T(2, 5)),
        horizon=10, response=(1, 4),
    ),
    Known(
        "ll73-figure-2-reversed", LIU_LAYLAND + ", figure 2: with the other order neither C can exceed 1", "fp",
        (T(1, 5), T(1, 2)), horizon=10, response=(1, 2),
    ),
    Known(
        "ll73-figure-2-reversed-too-much", LIU_LAYLAND + ", figure 2, C1 = 2", "fp", (T(1, 5), T(2, 2)),
        # Task 1 has 4 of each 5 ms and wants 5: jobs end at 3, 5, 8, 10, none in time.
        horizon=10, response=(1, 4), misses=5, first_miss=(2, 1),
    ),
    Known(
        "rm-harmonic", BURNS_WELLINGS + ", process set C, U = 1", "rm", (T(5, 20), T(10, 40), T(40, 80)),
        horizon=80, response=(5, 15, 80),
    ),
    Known(
        "rm-full-utilisation-no-chain", "periods 2, 3, 6 with U = 1, " + BY_HAND, "rm", (T(1, 2), T(1, 3), T(1, 6)),
        horizon=6, response=(1, 2, 6),
    ),
    Known(
        "hyperbolic-bound", "Bini, Buttazzo & Buttazzo, IEEE TC 52(7), 2003: prod(U + 1) = 2, beyond Liu & Layland",
        "rm", (T(1, 2), T(1, 3)), horizon=6, response=(1, 2),
    ),
    Known(
        "lehoczky-sha-ding-89", "Lehoczky, Sha & Ding, RTSS 1989: U = 0.953, exact test needed", "rm",
        (T(40, 100), T(40, 150), T(100, 350)), horizon=2100, response=(40, 80, 300),
    ),
    Known(
        "sha-goodenough-90", "Sha & Goodenough, IEEE Computer 23(4), 1990: U = 0.753 < 0.779", "rm",
        (T(20, 100), T(40, 150), T(100, 350)), horizon=2100, response=(20, 60, 240),
    ),
    Known(
        "burns-wellings-a", BURNS_WELLINGS + ", process set A (Joseph & Pandya, Computer J. 29(5), 1986)", "fp",
        # In [0, 100) task 2 runs at 20-30, 50-60, 70-74: ends at 52 and 74.
        (T(10, 30), T(10, 40), T(12, 50)), horizon=100, response=(10, 20, 52), misses=1, first_miss=(50, 2),
    ),
    Known(
        "burns-wellings-b", BURNS_WELLINGS + ", process set B", "fp", (T(4, 16), T(5, 40), T(32, 80)),
        horizon=80, response=(4, 9, 58),
    ),
    Known(
        "burns-wellings-d", BURNS_WELLINGS + ", process set D: R3 = 5, 11, 14, 17, 20", "rm",
        (T(3, 7), T(3, 12), T(5, 20)), horizon=420, response=(3, 6, 20),
    ),
    Known(
        "burns-wellings-dm", BURNS_WELLINGS + ", D < T (Audsley et al. 1991)", "dm",
        (T(3, 20, 5), T(3, 15, 7), T(4, 10, 10), T(3, 20, 20)), horizon=60, response=(3, 6, 10, 20),
    ),
    Known(
        "buttazzo-dm", BUTTAZZO + ", R4 = 5, 6, 7, 9, 10", "dm", (T(1, 4, 3), T(1, 5, 4), T(2, 6, 5), T(1, 11, 10)),
        horizon=660, response=(1, 2, 4, 10),
    ),
    Known(
        "dm-beats-rm", "Leung & Whitehead, Perf. Eval. 2, 1982: DM is optimal (instance by hand)", "dm",
        (T(2, 5, 2), T(1, 4, 4)), horizon=20, response=(2, 3),
    ),
    Known(
        "dm-beats-rm-under-rm", "the same under RM: jobs 0 and 3 of task 0 end 3 after their release", "rm",
        (T(2, 5, 2), T(1, 4, 4)), horizon=20, response=(3, 1), misses=2, first_miss=(2, 0),
    ),
    # -- fixed priorities, D > T
    Known(
        "lehoczky90-later-job-is-worst", LEHOCZKY + ": responses 114, 102, 116, 104, 118, 106, 94", "fp",
        (T(26, 70), T(62, 100, 118)), horizon=700, response=(26, 118),
    ),
    Known(
        "lehoczky90-later-job-misses", LEHOCZKY + ": only the fifth job misses", "fp", (T(26, 70), T(62, 100, 117)),
        horizon=700, response=(26, 118), misses=1, first_miss=(517, 1),
    ),
    Known(
        "lehoczky90-dm-order", LEHOCZKY + ", example 2: the DM order fails", "dm", (T(52, 100, 110), T(52, 140, 154)),
        horizon=700, response=(52, 156), misses=1, first_miss=(154, 1),
    ),
    Known(
        "lehoczky90-other-order", LEHOCZKY + ", example 2: the other works", "fp", (T(52, 140, 154), T(52, 100, 110)),
        horizon=700, response=(52, 108),
    ),
    # -- offsets
    Known(
        "burns-wellings-without-offset", BURNS_WELLINGS + ", offsets", "fp", (T(4, 8, 5), T(4, 20, 10), T(4, 20, 12)),
        horizon=40, response=(4, 8, 16), misses=1, first_miss=(12, 2),
    ),
    Known(
        "burns-wellings-offset-rescues", BURNS_WELLINGS + ", offsets: third task after 10", "fp",
        (T(4, 8, 5), T(4, 20, 10), T(4, 20, 12, offset=10)), horizon=50, response=(4, 8, 8),
    ),
    Known("edf-synchronous", "density 2, " + BY_HAND, "edf", (T(1, 2, 1), T(1, 2, 1)),
          horizon=2, response=(1, 2), misses=1, first_miss=(1, 1)),
    Known("edf-offset-rescues", "the same, shifted by 1", "edf", (T(1, 2, 1), T(1, 2, 1, offset=1)),
          horizon=9, response=(1, 1)),
    # -- EDF
    Known(
        "judgment-day-rm", JUDGMENT_DAY + ": U = 34/35", "rm", (T(2, 5), T(4, 7)),
        # Task 1 has 2-5, 7-10, ...: it ends at 8, 14, 20, 28, 34.
        horizon=35, response=(2, 8), misses=1, first_miss=(7, 1),
    ),
    Known("judgment-day-edf", JUDGMENT_DAY + ": U = 34/35", "edf", (T(2, 5), T(4, 7)), horizon=35, response=(4, 6),
          tie="index"),
    Known("lipari-rm", "Lipari, slides on EDF: U = 23/24", "rm", (T(1, 4), T(2, 6), T(3, 8)),
          # Task 2 has 3-4, 5-6, 9-12, 15-16, 17-18, 21-24: its jobs end at 10, 16, 23.
          horizon=24, response=(1, 3, 10), misses=1, first_miss=(8, 2)),
    Known("lipari-edf", "Lipari, slides on EDF: U = 23/24", "edf", (T(1, 4), T(2, 6), T(3, 8)),
          horizon=24, response=(1, 4, 7), tie="index"),
    Known("edf-u-1", LIU_LAYLAND + ", theorem 7 (instance by hand: 1/3 + 1/4 + 5/12 = 1)", "edf",
          # All three have the deadline 12 at the end; the running task 2 is not preempted from 8 on.
          (T(1, 3), T(1, 4), T(5, 12)), horizon=12, response=(3, 3, 10)),
    Known("edf-u-1-index", "the same, ties broken by index: task 2 waits at 8 and 9", "edf",
          (T(1, 3), T(1, 4), T(5, 12)), horizon=12, response=(1, 2, 12), tie="index"),
    Known("edf-u-1-constrained", "U = 1, D < T, and feasible: dbf(7) = 7, dbf(12) = 12, " + BY_HAND, "edf",
          (T(3, 6), T(2, 4, 3)), horizon=12, response=(6, 3)),
    Known("edf-demand", "Baruah, Rosier & Howell, Real-Time Systems 2, 1990: U = 1, but dbf(2) = 3 (by hand)", "edf",
          (T(1, 2), T(2, 4, 2)), horizon=4, response=(2, 3), misses=1, first_miss=(2, 1)),
    Known("guan-yi-ts1", GUAN_YI, "edf", (T(2, 4), T(3, 12)), horizon=12, response=(2, 7)),
    Known("guan-yi-ts3", GUAN_YI + "; worst cases 3, 8, 11 aren't synchronous", "edf", (T(2, 4), T(2, 9), T(3, 12)),
          horizon=36, response=(3, 6, 9)),
    Known("guan-yi-ts3-index", GUAN_YI, "edf", (T(2, 4), T(2, 9), T(3, 12)), horizon=36, response=(2, 6, 11),
          tie="index"),
    # -- permanent overload
    Known(
        "overload-rm", JUDGMENT_DAY + ": U = 1.25, the least urgent task starves", "rm", (T(4, 8), T(6, 12), T(5, 20)),
        # Task 1 has 4-8, 12-16, 20-24: its jobs 0, 2, 4, ... end after 14. Task 2 never starts.
        horizon=240, response=(4, 14, None), misses=10 + 12, first_miss=(12, 1),
    ),
)  # fmt: skip


def by_name(known: Known) -> str:
    return known.name


def describe(known: Known) -> TaskSet:
    tasks: list[dict[str, Any]] = []
    for number, task in enumerate(known.tasks):
        description = {"executiontime": task.wcet, "period": task.period, "offset": task.offset}
        description |= {"deadline": task.deadline} if task.deadline else {}
        tasks.append(description | ({"priority": number} if known.policy == "fp" else {}))
    return TaskSet(tasks)


def first_miss(trace: Trace) -> tuple[float, int] | None:
    missed = [(job.deadline_ns / NS_PER_MS, job.task_id) for job in trace.misses if job.deadline_ns is not None]
    return min(missed, default=None)


def responses(trace: Trace) -> tuple[float | None, ...]:
    return tuple(trace.max_response_ns[i] / NS_PER_MS if i in trace.max_response_ns else None for i in trace.tasks)


@pytest.mark.parametrize("known", KNOWN, ids=by_name)
def test_known_answer(known: Known) -> None:
    trace = simulate(describe(known), policy=known.policy, horizon_ms=known.horizon, tie=known.tie)
    assert responses(trace) == known.response
    assert len(trace.misses) == known.misses
    assert first_miss(trace) == known.first_miss


def worst_responses(tasks: list[T]) -> Iterator[int]:
    """Response-time analysis for any deadline (Lehoczky 1990): the worst job in the level-i busy period."""
    for place, task in enumerate(tasks):
        worst, job = 0, 0
        while True:
            end, previous = (job + 1) * task.wcet, 0
            while end != previous:
                previous = end
                end = (job + 1) * task.wcet + sum(-(-previous // hp.period) * hp.wcet for hp in tasks[:place])
            worst = max(worst, end - job * task.period)
            job += 1
            if end <= job * task.period:
                break
        yield worst


ANALYSED = [
    known
    for known in KNOWN
    if known.policy in {"fp", "rm", "dm"}
    and not any(task.offset for task in known.tasks)
    and known.name not in {"overload-rm", "ll73-figure-2-reversed-too-much"}  # U > 1: the busy period never ends
]


@pytest.mark.parametrize("known", ANALYSED, ids=by_name)
def test_the_analysis_agrees(known: Known) -> None:
    """The synchronous release is the worst case of fixed priorities; the horizons hold the longest busy period."""
    order = list(range(len(known.tasks)))
    if known.policy != "fp":
        order.sort(key=lambda i: (known.policy == "dm" and known.tasks[i].deadline) or known.tasks[i].period)
    worst = dict(zip(order, worst_responses([known.tasks[i] for i in order]), strict=True))
    assert tuple(worst[i] for i in range(len(known.tasks))) == known.response


def test_edf_demand_is_the_reason_for_each_miss() -> None:
    """Under EDF a synchronous set misses iff its demand exceeds some interval (Baruah, Rosier & Howell 1990)."""
    for known in KNOWN:
        if known.policy != "edf" or any(task.offset for task in known.tasks):
            continue
        overload = [
            t
            for t in range(1, known.horizon + 1)
            if sum(max(0, (t - (task.deadline or task.period)) // task.period + 1) * task.wcet for task in known.tasks)
            > t
        ]
        assert bool(overload) == bool(known.misses), known.name
        if overload and known.first_miss:
            assert overload[0] == known.first_miss[0]


def test_the_fifth_job_is_the_worst() -> None:
    """Lehoczky 1990: with D > T the first job of a busy period need not be the worst."""
    known = next(known for known in KNOWN if known.name == "lehoczky90-later-job-is-worst")
    trace = simulate(describe(known), policy="fp", horizon_ms=known.horizon)
    assert [ns / NS_PER_MS for ns in trace.response_times(1)] == [114, 102, 116, 104, 118, 106, 94]


@pytest.mark.parametrize("number", [2, 3, 5, 8])
def test_the_liu_layland_bound_is_tight(number: int) -> None:
    """Liu & Layland 1973, theorem 5: T_i = 2^(i/n), C_i = T_(i+1) - T_i fully uses the core; 1 us more is too much."""
    periods = [round(1000 * 2 ** (place / number)) for place in range(number)]
    wcets = [after - period for period, after in zip(periods, [*periods[1:], 2 * periods[0]], strict=True)]
    bound = number * (2 ** (1 / number) - 1)
    utilization = sum(wcet / period for wcet, period in zip(wcets, periods, strict=True))
    assert bound <= utilization < bound + 1e-5 * number

    def run(wcets: list[int]) -> Trace:
        tasks = [
            {"executiontime": c / 1000, "period": p / 1000, "numberofjobs": 1}
            for c, p in zip(wcets, periods, strict=True)
        ]
        for task in tasks[:-1]:
            task["numberofjobs"] = 2  # the last task's first job sees at most two of each other
        return simulate(TaskSet(tasks), policy="rm")

    exact = run(wcets)
    assert not exact.misses
    assert exact.max_response_ns[number - 1] == periods[0] * 1000
    for place in range(number):
        more = [wcet + (place == other) for other, wcet in enumerate(wcets)]
        assert [job.task_id for job in run(more).misses] == [number - 1]


def test_overload_under_edf_stretches_all_periods() -> None:
    """Buttazzo 2005, after Cervin: U = 1.25 behaves as if each T were 1.25 T: 10, 15, 25 instead of 8, 12, 20."""
    tasks = TaskSet([{"executiontime": c, "period": p} for c, p in [(4, 8), (6, 12), (5, 20)]])
    trace = simulate(tasks, policy="edf", horizon_ms=24_000, tie="index")
    assert [24_000 / len(trace.response_times(number)) for number in range(3)] == [10, 15, 25]
    assert first_miss(trace) == (24, 1)
    # Under the other rule tasks 0 and 1 both miss at 24: task 1, released earlier, runs at 19-25.
    trace = simulate(tasks, policy="edf", horizon_ms=24, tie="running")
    assert [(job.task_id, job.index) for job in trace.misses] == [(1, 1), (0, 2)]


def test_overload_spares_urgent_tasks_under_rm_and_nobody_under_edf() -> None:
    """Buttazzo's domino effect, U = 1.375: RM sacrifices the two least urgent tasks, EDF lets each miss."""
    tasks = TaskSet([{"executiontime": c, "period": p} for c, p in [(2, 5), (3, 8), (4, 12), (4, 15)]])

    def missed(policy: str) -> list[int]:
        misses = simulate(tasks, policy=policy, horizon_ms=120).misses
        return [sum(job.task_id == number for job in misses) for number in range(4)]

    assert missed("rm") == [0, 0, 10, 8]
    assert all(missed("edf"))


def test_a_tie_between_fixed_priorities() -> None:
    """Equal priorities: the running job goes on, or yields to the smaller id (by hand)."""
    tasks = TaskSet(
        [
            {"executiontime": 1, "period": 10, "priority": 5, "offset": 2},
            {"executiontime": 4, "period": 10, "priority": 5},
        ]
    )
    running, index = (simulate(tasks, policy="fp", horizon_ms=10, tie=tie) for tie in ("running", "index"))
    assert responses(running) == (3, 4)
    assert responses(index) == (1, 5)
    assert [job.preemptions for job in running.jobs] == [0, 0]
    assert [(job.task_id, job.preemptions) for job in index.jobs] == [(1, 1), (0, 0)]


def test_fixed_priorities_first_then_edf_in_the_time_left() -> None:
    """The policy `auto`, by hand: task 0 has 0-2, 6-8, 12-14, 18-20; EDF shares the rest."""
    tasks = TaskSet(
        [
            {"executiontime": 2, "period": 6, "priority": 5},
            {"executiontime": 3, "period": 10, "deadline": 5},
            {"executiontime": 2, "period": 12, "priority": 128},  # no priority: EDF with D = T
        ]
    )
    trace = simulate(tasks, horizon_ms=24)
    assert [(s.task_id, s.start_ns // NS_PER_MS, s.end_ns // NS_PER_MS) for s in trace.gantt] == [
        (0, 0, 2), (1, 2, 5), (2, 5, 6), (0, 6, 8), (2, 8, 9), (1, 10, 12), (0, 12, 14), (1, 14, 15), (2, 15, 17),
        (0, 18, 20), (1, 20, 23),
    ]  # fmt: skip
    assert responses(trace) == (2, 5, 9)
    assert not trace.misses


def test_without_priority_and_deadline_a_task_still_precedes_edf() -> None:
    """Missing both means priority 127, which is in the fixed-priority band (by hand)."""
    tasks = TaskSet([{"executiontime": 3, "period": 10, "deadline": 5}, {"executiontime": 4, "period": 10}])
    trace = simulate(tasks, horizon_ms=10)
    assert responses(trace) == (7, 4)
    assert first_miss(trace) == (5, 0)


def outcomes(trace: Trace, task_id: int) -> list[tuple[str, float, float]]:
    """Return outcome, end and executed time of each job."""
    return [
        (str(job.outcome), (job.finish_ns or 0) / NS_PER_MS, (job.executed_ns or 0) / NS_PER_MS)
        for job in trace.jobs_of(task_id)
    ]


@pytest.mark.parametrize(
    ("wcet", "criticaltime", "outcome", "missed"),
    [
        (4, 6, ("EXIT_CRITICAL", 6, 2), True),  # 4-6, killed
        (4, 3, ("EXIT_CRITICAL", 3, 0), True),  # killed before it ever ran
        (2, 6, ("EXIT", 6, 2), False),  # completing at that very instant wins
    ],
)
def test_criticaltime_kills(wcet: int, criticaltime: int, outcome: tuple[str, float, float], missed: bool) -> None:
    """By hand: the other task runs 0-4."""
    tasks = [
        {"executiontime": 4, "period": 20, "priority": 0},
        {"executiontime": wcet, "period": 20, "deadline": 9, "priority": 1, "criticaltime": criticaltime},
    ]
    trace = simulate(TaskSet(tasks), policy="fp", horizon_ms=20)
    assert outcomes(trace, 1) == [outcome]
    assert [job.task_id for job in trace.misses] == [1] * missed


def test_overrun_kill_at_the_deadline() -> None:
    """RealTimeScheduling.jl, test/schedules.jl: executed times of a killed task in one hyperperiod of 77."""
    tasks = TaskSet([{"executiontime": 4, "period": 7}, {"executiontime": 6, "period": 11}])
    trace = simulate(tasks, policy="rm", overrun="kill", horizon_ms=77)
    assert [executed for _, _, executed in outcomes(trace, 0)] == [4] * 11
    assert [executed for _, _, executed in outcomes(trace, 1)] == [3, 6, 4, 5, 5, 4, 6]
    assert len(trace.misses) == 5  # all but the two that completed


def test_overrun_skip_drops_the_next_release() -> None:
    """By hand: C = 3, T = 2. Every other job is dropped at its release, which is no miss; the others end 1 late."""
    trace = simulate(TaskSet([{"executiontime": 3, "period": 2}]), policy="rm", overrun="skip", horizon_ms=8)
    assert outcomes(trace, 0) == [
        ("EXIT", 3, 3), ("NOT_SCHEDULED", 2, 0), ("EXIT", 7, 3), ("NOT_SCHEDULED", 6, 0)
    ]  # fmt: skip
    assert [job.index for job in trace.misses] == [0, 2]


def test_overrun_continue_delays_the_successors() -> None:
    """By hand: C = 3, T = 2. Job k ends at 3 (k + 1), so its response is 3 + k."""
    trace = simulate(TaskSet([{"executiontime": 3, "period": 2}]), policy="rm", horizon_ms=9)
    assert [ns / NS_PER_MS for ns in trace.response_times(0)] == [3, 4, 5]
    assert [job.index for job in trace.misses] == [0, 1, 2, 3]  # job 3 has its deadline at 8 and never ran


def test_sporadic_arrivals() -> None:
    """By hand: arrivals at 0, 7, 11 and C = 3 behind an urgent (2, 5): 2-5, 7-10, 12-15."""
    tasks = TaskSet([{"executiontime": 2, "period": 5}, {"executiontime": 3, "period": 4, "arrivals": [0, 7, 11]}])
    tasks = TaskSet([{**task, "priority": place} for place, task in enumerate(tasks)])
    trace = simulate(tasks, policy="fp", horizon_ms=20)
    assert [ns / NS_PER_MS for ns in trace.response_times(1)] == [5, 3, 4]
    assert [job.index for job in trace.misses] == [0]  # D = T = 4
