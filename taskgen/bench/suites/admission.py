"""Does admission control accept what is schedulable, and refuse what isn't?

Sets of two tasks on both sides of the boundary between schedulable and not, C in steps around the factor 1, at which
the set just is. `fp`: the worst set of Liu & Layland, T = (10, 14) with C = (4, 6), by response-time analysis. `edf`:
D = T and C = (5, 7), which is U = 1. `constrained`: EDF with D = (10, 7) and C = (4, 6), where U says nothing and
processor demand decides (QPA). Each is sent with the goal of fairness, those at the boundary also with that of
utilization.

Of each run: `accepted`, 1 if each task of the set had a job, 0 if one was refused: with NOT_SCHEDULED, or silently
(G1o) so that it never starts; and `correct`, 1 if that is what the exact test says (`taskgen.analysis`), else 0.
Descriptions carry the exact C (`executiontime`), since that is what admission control reads. G3 denies single jobs of
EDF tasks, too, which it has accepted: its optimiser remembers who was late. `denied` counts these.

`matrix` counts runs: tp schedulable and accepted, fp not schedulable and accepted, tn refused and not schedulable, fn
refused although schedulable; `fp` are promises that can't be kept, `fn` is time that nobody gets. What to expect of
boards (wire-protocol 5.1 to 5.3): EDF tasks are never tested, so all are accepted; of tasks with priorities only the
first is, since D counts as 0: all fn and tn. On G3, overload by EDF may hang the optimiser (wire-protocol 5.4,
inferred). Targets without admission control are skipped; G1p tests tasks unasked, but takes no goal.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from taskgen.bench.arrivals import born
from taskgen.bench.scale import quiet, row_of, scale_of, task
from taskgen.bench.suite import Case, Finding, Measured, Metric, Sample, Samples, Setting, Suite
from taskgen.bench.textbook import on_one_core, schedulable
from taskgen.bench.urgency import by_edf
from taskgen.optimizations.fairness import Fairness
from taskgen.optimizations.utilization import Utilization
from taskgen.taskset import TaskSet


class Kind(NamedTuple):
    """Sets that differ by a factor of C; at 1 they are just schedulable. In tenths of the scale's period."""

    name: str
    policy: str
    work: tuple[int, int]
    deadlines: tuple[int, int]


_PERIODS: Final = (10, 14)
_KINDS: Final = (
    Kind("fp", "fp", (4, 6), _PERIODS),
    Kind("edf", "edf", (5, 7), _PERIODS),
    Kind("constrained", "edf", (4, 6), (10, 7)),
)
_FACTORS: Final = tuple(map(Decimal, ("0.8", "1", "1.02", "1.2")))
_BOUNDARY: Final = tuple(map(Decimal, ("1", "1.02")))
_GOALS: Final[Mapping[str, tuple[Mapping[str, Any], tuple[Decimal, ...]]]] = {
    "fairness": (Fairness(), _FACTORS),
    "utilization": (Utilization(), _BOUNDARY),
}
#: Optimisers of boards remember tasks by their ids, for ever (wire-protocol 5.4): each case has its own ones.
_FIRST_ID: Final = 40
#: In tenths of the scale's period: all releases that tell of a refusal lie before.
_HORIZON: Final = 15


def _lacks(setting: Setting) -> str:
    return "" if setting.capabilities.admission else "the target has no admission control"


def _cases(setting: Setting) -> list[Case]:
    asked = [
        (kind, goal, factor)
        for kind in _KINDS
        if kind.policy in setting.capabilities.policies
        for goal, (_, factors) in _GOALS.items()
        for factor in factors
    ]
    return [_case(setting, *each, _FIRST_ID + len(_PERIODS) * place) for place, each in enumerate(asked)]


def _case(setting: Setting, kind: Kind, goal: str, factor: Decimal, first_id: int) -> Case:
    unit_ms = Decimal(scale_of(setting).period_ms) / 10
    tasks = [
        task(
            setting,
            rank=rank,
            period_ms=int(period * unit_ms),
            work_ms=factor * work * unit_ms,
            jobs=1,
            id=first_id + rank,
            executiontime=factor * work * unit_ms,
            priority=rank if kind.policy == "fp" else None,
            deadline=None if kind.policy == "fp" else int(deadline * unit_ms),
            **on_one_core(setting),
        )
        for rank, (period, work, deadline) in enumerate(zip(_PERIODS, kind.work, kind.deadlines, strict=True))
    ]
    exact = schedulable(tasks)

    def measure(measured: Measured) -> Mapping[str, Sample]:
        accepted = _accepted(measured)
        return quiet({"accepted": int(accepted), "correct": int(accepted == exact), "denied": _denied(measured)})

    return Case(
        f"{kind.name}-{factor}-{goal}",
        TaskSet(tasks),
        measure,
        {"kind": kind.name, "factor": float(factor), "goal": goal, "schedulable": int(exact)},
        horizon_ms=int(_HORIZON * unit_ms),
        admission=_GOALS[goal][0],
        predicted={"accepted": int(exact), "correct": 1},
    )


def _accepted(measured: Measured) -> bool:
    """Whether no task of the set was refused: whoever is has no job, and isn't asked for."""
    started = {job.task_id for job in measured.trace.jobs if born(job)}
    return started | _asked_for(measured) == measured.trace.tasks.keys()


def _asked_for(measured: Measured) -> set[int]:
    """Return the tasks of which an optimiser denied a job, which are accepted ones (wire-protocol 5.4)."""
    row, trace = row_of(measured.setting), measured.trace
    if row is None or row.optimiser != "job":
        return set()
    return {job.task_id for job in trace.jobs if not born(job) and by_edf(trace.tasks[job.task_id])}


def _denied(measured: Measured) -> int | None:
    """Count the jobs that the optimiser denied; None: there is none that acts on jobs."""
    row, asked_for = row_of(measured.setting), _asked_for(measured)
    if row is None or row.optimiser != "job":
        return None
    return sum(job.task_id in asked_for and not born(job) for job in measured.trace.jobs)


# -- the confusion matrix


def _judge(cases: Sequence[Case], samples: Mapping[str, Samples]) -> list[Finding]:
    known = [case for case in cases if samples.get(case.name, {}).get("accepted")]
    findings = [_matrix("matrix", known, samples)] if known else []
    for kind in _KINDS:
        some = [case for case in known if case.params["kind"] == kind.name]
        if some:
            findings.append(_matrix(f"matrix-{kind.name}", some, samples))
    return findings


def _matrix(name: str, cases: Sequence[Case], samples: Mapping[str, Samples]) -> Finding:
    counts: Counter[str] = Counter()
    for case in cases:
        for accepted in samples[case.name]["accepted"]:
            counts[_CELLS[bool(accepted), bool(case.params["schedulable"])]] += 1
    values = {cell: counts[cell] for cell in ("tp", "fp", "tn", "fn")}
    text = (
        f"{values['tp']} of {values['tp'] + values['fn']} runs of schedulable sets accepted,"
        f" {values['tn']} of {values['tn'] + values['fp']} others refused"
    )
    return Finding(name, text, ok=not (values["fp"] or values["fn"]), values=values)


#: By whether a set was accepted, and whether it is schedulable.
_CELLS: Final[Mapping[tuple[bool, bool], str]] = {
    (True, True): "tp",
    (True, False): "fp",
    (False, False): "tn",
    (False, True): "fn",
}

SUITE = Suite(
    name="admission",
    about="does admission control accept what is schedulable, and refuse what isn't?",
    version=1,
    metrics=(
        Metric("accepted", "1", "more", 0, "1: each task of the set had a job; 0: one was refused"),
        Metric("correct", "1", "more", 0, "1: as the exact test says; 0: not so"),
        Metric("denied", "1", "less", 0, "jobs of accepted tasks that the optimiser denied"),
    ),
    cases=_cases,
    lacks=_lacks,
    judge=_judge,
)
