"""Utilisation, and the tests that look at nothing else.

A test returns True where the set is schedulable for certain; False says that this test doesn't decide (for EDF with
D = T it also says that the set isn't). All are exact: no rounding turns a set at the bound away.
"""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

from taskgen.errors import InputError
from taskgen.parameters import Parameters


def wcet_ns(task: Parameters) -> int:
    """Return C of a task in ns.

    Raises:
        InputError: its execution time is unknown.
    """
    if task.wcet_ns is None:
        raise InputError(
            f"task {task.id}: executiontime: unknown, an analysis needs the worst case",
            hint="give the task an executiontime in ms",
        )
    return task.wcet_ns


def utilization(tasks: Iterable[Parameters]) -> Fraction:
    """Return U, the sum of C/T; single jobs (T = 0) count as 0 (Liu & Layland, JACM 20(1), 1973, section 5).

    Raises:
        InputError: an execution time is unknown.
    """
    return sum((share(task) for task in tasks), Fraction(0))


def share(task: Parameters) -> Fraction:
    """Return C/T of one task; 0 for T = 0."""
    return Fraction(wcet_ns(task), task.period_ns) if task.period_ns else Fraction(0)


def liu_layland_bound(number: int) -> float:
    """Return n (2^(1/n) - 1) for n tasks; it falls to ln 2 (Liu & Layland 1973, theorem 5).

    Raises:
        InputError: `number` is less than 1.
    """
    if number < 1:
        raise InputError(f"number: {number} tasks have no bound, expected at least 1")
    return number * math.expm1(math.log(2) / number)


def liu_layland_holds(tasks: Sequence[Parameters]) -> bool:
    """Tell whether U <= n (2^(1/n) - 1), so that rate-monotonic priorities meet all deadlines, given D >= T.

    Compared as (U/n + 1)^n <= 2, in fractions (Liu & Layland 1973, theorem 5). With D < T, jitter or single jobs the
    bound says nothing: False.
    """
    return _is_plain(tasks) and (utilization(tasks) / len(tasks) + 1) ** len(tasks) <= 2


def hyperbolic_bound_holds(tasks: Sequence[Parameters]) -> bool:
    """Tell whether the product of (U_i + 1) is at most 2: RM meets all deadlines, given D >= T.

    It accepts whatever Liu & Layland's bound accepts (Bini, Buttazzo & Buttazzo, "Rate monotonic analysis: the
    hyperbolic bound", IEEE TC 52(7), 2003, theorem 1). With D < T, jitter or single jobs: False.
    """
    return _is_plain(tasks) and math.prod(share(task) + 1 for task in tasks) <= 2


def edf_bound_holds(tasks: Sequence[Parameters]) -> bool:
    """Tell whether U <= 1, so that EDF meets all deadlines, given D >= T (Liu & Layland 1973, theorem 7).

    Necessary as well: with U > 1 no policy does. With D < T, jitter or single jobs: False.
    """
    return _is_plain(tasks) and utilization(tasks) <= 1


def _is_plain(tasks: Sequence[Parameters]) -> bool:
    """Tell whether the model of Liu & Layland holds: periodic or sporadic, released at arrival, D >= T."""
    return bool(tasks) and all(
        task.period_ns and not task.jitter_ns and (task.effective_deadline_ns or 0) >= task.period_ns for task in tasks
    )
