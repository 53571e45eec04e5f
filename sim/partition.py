"""Which task belongs to which core: affinity first, then bin packing by utilization (Dhall & Liu, Oper. Res. 26, 1978).

A task with `cores` (the width of its affinity space) belongs to core floor(coreoffset * m / cores); with `coreoffset`
alone the space is that of the m cores. The others are placed in the order of decreasing utilization, ties by id, on the
first core (`first-fit`) or the least loaded one (`worst-fit`) that accepts them: while U <= 1, or, for fixed
priorities, while the response-time analysis holds. On one core there is nothing to choose, so nothing is refused.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from sim.policy import NO_DEADLINE, JobFixedPriority, Policy
from taskgen.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskgen.parameters import Parameters

#: Jobs of a busy period that are looked at; what needs more is refused.
_MAX_JOBS = 10_000

Fit = Literal["first-fit", "worst-fit"]
FITS: tuple[Fit, ...] = ("first-fit", "worst-fit")


def affinity(task: Parameters, cores: int) -> int | None:
    """Return the core that the description of a task asks for; None: any.

    Raises:
        InputError: the description asks for a core that isn't there.
    """
    width: int = task.attributes.get("cores", 0)
    position: int = task.attributes.get("coreoffset", 0)
    if not width:
        # Width 0 leaves the placement open, as on the boards; a place without width counts the cores themselves.
        if "cores" in task.attributes or "coreoffset" not in task.attributes or cores == 1:
            return None
        width = cores  # the description counts the cores themselves
    if position >= width:
        raise InputError(
            f"task {task.id}: coreoffset: {position} is out of range, expected 0..{width - 1}",
            hint=f"it is a place in a space of {width} (cores), mapped to the {cores} of this target",
        )
    return position * cores // width


def refuse_affinity(tasks: Sequence[Parameters]) -> None:
    """Refuse tasks that belong to a core, where jobs migrate.

    Raises:
        InputError: names the first such task.
    """
    for task in tasks:
        if task.attributes.get("cores") or ("coreoffset" in task.attributes and "cores" not in task.attributes):
            key = "coreoffset" if "coreoffset" in task.attributes else "cores"
            raise InputError(
                f"task {task.id}: {key}: {task.attributes[key]} binds it to a core, but migration is global",
                hint="leave cores and coreoffset out, or choose migration partitioned",
            )


def partition(tasks: Sequence[Parameters], cores: int, policy: Policy, fit: Fit = "first-fit") -> dict[int, int]:
    """Return the core of each task by id; `policy` has been bound to the tasks.

    Raises:
        InputError: a task fits nowhere, or asks for a core that isn't there; one line names it.
    """
    homes: dict[int, int] = {}
    members: list[list[Parameters]] = [[] for _ in range(cores)]
    for task in tasks:
        home = affinity(task, cores)
        if home is not None or cores == 1:
            homes[task.id] = home or 0
            members[home or 0].append(task)
    accepts = _acceptance(policy)
    rest = [task for task in tasks if task.id not in homes]
    for task in sorted(rest, key=lambda task: (-utilization([task]), task.id)):
        order = range(cores)
        if fit == "worst-fit":
            order = sorted(order, key=lambda core: (utilization(members[core]), core))  # type: ignore[assignment]  # both are sequences of cores
        home = next((core for core in order if accepts([*members[core], task])), None)
        if home is None:
            loads = [utilization([*others, task]) for others in members]
            raise _fits_nowhere(task, tasks, fit, loads)
        homes[task.id] = home
        members[home].append(task)
    return homes


def _fits_nowhere(task: Parameters, tasks: Sequence[Parameters], fit: Fit, loads: Sequence[Fraction]) -> InputError:
    """Return the refusal of a task; `loads` are the utilizations that the cores would have with it."""
    refused = sum(load <= 1 for load in loads)
    analysis = f"; on {refused} of them the response-time analysis finds a miss, or no end" if refused else ""
    return InputError(
        f"task {task.id}: fits on none of {len(loads)} cores ({fit}; its utilization is"
        f" {float(utilization([task])):.3f}, the set's {float(utilization(tasks)):.3f}{analysis})",
        hint="give the set more cores, the tasks cores and coreoffset (then nothing is tested), or migration global",
    )


def utilization(tasks: Sequence[Parameters]) -> Fraction:
    """Return the sum of C/T; a task with period 0 or unknown C counts as 0."""
    return sum((Fraction(task.wcet_ns or 0, task.period_ns) for task in tasks if task.period_ns), Fraction(0))


def _acceptance(policy: Policy) -> Callable[[Sequence[Parameters]], bool]:
    """Return the test of one core: may it hold these tasks?"""
    from taskgen.analysis.response_time import is_schedulable

    fixed = policy.fixed if isinstance(policy, JobFixedPriority) else {}
    ranks = {id_: rank for id_, rank in fixed.items() if rank not in {None, NO_DEADLINE}}

    def accepts(tasks: Sequence[Parameters]) -> bool:
        banded = [task for task in tasks if task.id in ranks and _counts(task)]
        return utilization(tasks) <= 1 and is_schedulable(banded, ranks=ranks, most_jobs=_MAX_JOBS)

    return accepts


def _counts(task: Parameters) -> bool:
    return bool(task.wcet_ns and task.period_ns)
