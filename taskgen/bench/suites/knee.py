"""Up to which utilization are deadlines met, by fixed priorities and by EDF?

The same sets run twice at each point of a fixed grid of U: with rate-monotonic priorities (`fp-`) and by EDF (`edf-`),
D = T, all released together. Of each run:

- `miss-ratio`: how many of the releases whose deadline lies within the run weren't served in time. Served in time is a
  job that ends with EXIT by the deadline of its release. All else is a miss: a late end, a kill (EXIT_CRITICAL,
  EXIT_PERIOD), a release that was dropped or refused (NOT_SCHEDULED) or found the previous job alive. Boards don't tell
  arrivals: release k is k T after time zero, and a job belongs to the release that its START minus the time of creation
  falls behind (`taskgen.bench.arrivals`). On G4 a job is killed 500 ms before its next release, or the release would
  only clean up (wire-protocol 6.5): there the deadline is that much shorter.

A finding per policy and shape of the sets names the first U of the grid at which anything was missed, beside theory:
n(2^(1/n) - 1) (Liu & Layland, JACM 20(1), 1973, theorem 5), the hyperbolic bound (Bini, Buttazzo & Buttazzo, IEEE TC
52(7), 2003), response-time analysis (Joseph & Pandya, 1986), U <= 1 for EDF (Liu & Layland, theorem 7), and what the
textbook simulator predicts for the very same sets. `liu-layland` is the worst set of two tasks, T = (10, 14) with C in
proportion to (4, 6): on the hyperbolic bound at U = 29/35 = 0.829, and late with any more. `harmonic` periods divide
each other, so that fixed priorities reach U = 1 as well. `four` lies between.

On boards the grid is coarse and the set is `liu-layland`, with periods of seconds. What a job costs there beside its
work isn't in U. Boards without EDF run `fp` only; those whose admission control refuses all but one task with a
priority (wire-protocol 5.3) run `edf` only.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final, NamedTuple

from taskgen.analysis import hyperbolic_bound_holds, liu_layland_bound, liu_layland_holds
from taskgen.bench.arrivals import Clock, clock_of, served, together
from taskgen.bench.scale import PROCESSES, by_deadline, one_job_per_task, scale_of, task
from taskgen.bench.suite import Case, Finding, Measured, Metric, Sample, Samples, Setting, Suite
from taskgen.bench.textbook import on_one_core, schedulable, simulate, textbook
from taskgen.parameters import parameters_of
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.testing.runs import Executed


class Shape(NamedTuple):
    """Sets that differ by their utilization."""

    name: str
    periods: tuple[int, ...]  #: in tenths of the scale's period
    weights: tuple[int, ...]  #: C in proportion to
    horizon: int  #: in the same unit as the periods


class Plan(NamedTuple):
    """What runs on a kind of target."""

    shapes: tuple[Shape, ...]
    grid: tuple[Decimal, ...]
    unit: Decimal  #: C is a multiple of it, in ms


_LIU_LAYLAND: Final = Shape("liu-layland", (10, 14), (4, 6), 560)
_TEXTBOOK: Final = Plan(
    (
        _LIU_LAYLAND,
        Shape("harmonic", (10, 20, 40), (1, 2, 4), 560),
        Shape("four", (10, 14, 20, 35), (10, 14, 20, 35), 560),
    ),
    tuple(map(Decimal, ("0.7", "0.8", "0.82", "0.83", "0.85", "0.9", "1", "1.05"))),
    Decimal("0.001"),
)
#: Optimisers of boards remember tasks by their ids, for ever (wire-protocol 5.4): what was late in one case shall not
#: be denied in another one.
_FIRST_ID: Final = 20
#: Three jobs of the one task and two of the other: a run takes 6 s.
_BOARD: Final = Plan(
    (_LIU_LAYLAND._replace(horizon=30),), tuple(map(Decimal, ("0.3", "0.5", "0.7", "0.85", "1", "1.15"))), Decimal(1)
)
_POLICIES: Final = ("fp", "edf")


def _lacks(setting: Setting) -> str:
    if one_job_per_task(setting):
        return "a task has one job on this board, whatever its period"
    return "" if setting.capabilities.outcomes else "the target doesn't tell how jobs end"


def _without(setting: Setting, policy: str) -> str:
    """Return why a target can't run the sets by a policy."""
    if policy not in setting.capabilities.policies:
        return "the target has no priorities" if policy == "fp" else "the target has no deadlines"
    if policy == "fp" and by_deadline(setting):
        return "its admission control refuses all but one task with a priority"
    return ""


def _cases(setting: Setting) -> list[Case]:
    plan = _BOARD if scale_of(setting) is PROCESSES else _TEXTBOOK
    return [case for policy in _POLICIES for case in _of_policy(setting, plan, policy)]


def _of_policy(setting: Setting, plan: Plan, policy: str) -> Iterator[Case]:
    reason = _without(setting, policy)
    if reason:
        yield Case(policy, TaskSet(), _measure, skipped=reason)
        return
    for shape in plan.shapes:
        for place, load in enumerate(plan.grid):
            first_id = _FIRST_ID + len(shape.periods) * place if plan is _BOARD else 0
            yield _case(setting, plan, policy, shape, load, first_id)


def _case(setting: Setting, plan: Plan, policy: str, shape: Shape, load: Decimal, first_id: int) -> Case:
    unit_ms = Decimal(scale_of(setting).period_ms) / 10
    horizon_ms = int(shape.horizon * unit_ms)
    periods_ms = [int(period * unit_ms) for period in shape.periods]
    tasks = [
        task(
            setting,
            rank=rank,
            period_ms=period_ms,
            work_ms=(load * share * unit_ms).quantize(plan.unit, ROUND_DOWN),
            jobs=horizon_ms // period_ms if plan is _BOARD else None,
            id=first_id + rank,
            **({"priority": rank, "deadline": None} if policy == "fp" else {"priority": None, "deadline": period_ms}),
            **on_one_core(setting),
        )
        for rank, (period_ms, share) in enumerate(zip(periods_ms, _shares(shape), strict=True))
    ]
    known, predicted = _theory(setting, tasks, horizon_ms)
    costs = "process" if plan is _BOARD else "none"  # of a job, beside its work
    return Case(
        f"{policy}-{shape.name}-{load}",
        TaskSet(tasks),
        _measure,
        {"policy": policy, "shape": shape.name, "utilization": float(load), "n": len(tasks), "costs": costs, **known},
        horizon_ms=horizon_ms,
        predicted=predicted,
    )


def _shares(shape: Shape) -> list[Decimal]:
    """Return each task's C at U = 1."""
    weights = list(map(Decimal, shape.weights))
    load = sum(weight / period for weight, period in zip(weights, shape.periods, strict=True))
    return [weight / load for weight in weights]


def _theory(setting: Setting, tasks: Sequence[Task], horizon_ms: int) -> tuple[Mapping[str, int], Mapping[str, Sample]]:
    """Return which tests a set passes, and its predicted miss ratio."""
    described = textbook(setting, tasks)
    if described is None:
        return {}, {}
    parameters = parameters_of(described)
    known = {
        "exact": int(schedulable(described)),
        "liu-layland": int(liu_layland_holds(parameters)),
        "hyperbolic": int(hyperbolic_bound_holds(parameters)),
    }
    trace = simulate(described, horizon_ms)
    return known, {"miss-ratio": _missed(trace, Clock.of("ideal", trace.capabilities))}


def _measure(measured: Measured) -> Mapping[str, Sample]:
    return {"miss-ratio": _missed(measured.trace, clock_of(measured.setting))}


def _missed(trace: Executed, clock: Clock) -> float:
    return together([served(trace, task, clock) for task in trace.tasks.values()]).missed_percent


# -- the findings


def _judge(cases: Sequence[Case], samples: Mapping[str, Samples]) -> list[Finding]:
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        if case.params and samples.get(case.name, {}).get("miss-ratio"):
            groups.setdefault((str(case.params["policy"]), str(case.params["shape"])), []).append(case)
    return [_knee(policy, shape, group, samples) for (policy, shape), group in groups.items()]


def _knee(policy: str, shape: str, cases: Sequence[Case], samples: Mapping[str, Samples]) -> Finding:
    first = _first(cases, lambda case: max(samples[case.name]["miss-ratio"]) > 0)
    exact = _first(cases, lambda case: case.params.get("exact") == 0)
    simulated = _first(cases, lambda case: case.predicted.get("miss-ratio", 0) > 0)
    early = first is not None and (exact is None or first < exact)
    values: dict[str, Any] = {
        "policy": policy,
        "shape": shape,
        "grid": [case.params["utilization"] for case in cases],
        "first_miss": first,
        "exact": exact,
        "simulated": simulated,
    }
    theory = f"U <= 1 fails {_at(exact)}"
    if policy == "fp":
        bound = liu_layland_bound(int(cases[0].params["n"]))
        values |= {
            "liu_layland_bound": bound,
            "liu_layland": _first(cases, lambda case: case.params.get("liu-layland") == 0),
            "hyperbolic": _first(cases, lambda case: case.params.get("hyperbolic") == 0),
        }
        theory = (
            f"Liu & Layland's bound is {bound:.3f}, the hyperbolic one fails {_at(values['hyperbolic'])},"
            f" response-time analysis {_at(exact)}"
        )
    return Finding(
        f"{policy}-{shape}",
        f"misses {_at(first)}, simulated {_at(simulated)}; {theory}",
        ok=None if early and cases[0].params["costs"] == "process" else not early,
        values=values,
    )


def _first(cases: Sequence[Case], holds: Callable[[Case], bool]) -> float | None:
    """Return the least utilization at which something holds; None: at none of the grid."""
    return min((float(case.params["utilization"]) for case in cases if holds(case)), default=None)


def _at(utilization: float | None) -> str:
    return "nowhere" if utilization is None else f"from U = {utilization:g}"


SUITE = Suite(
    name="knee",
    about="up to which utilization are deadlines met, by fixed priorities and by EDF?",
    version=1,
    metrics=(Metric("miss-ratio", "%", "less", 1, "releases that weren't served by their deadline"),),
    cases=_cases,
    lacks=_lacks,
    judge=_judge,
)
