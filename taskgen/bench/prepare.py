"""What is known before anything runs: the target's setting, the cases of each suite on it, and how long they take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from taskgen import registry
from taskgen.bench.suite import Case, Setting, Suite
from taskgen.bench.wellformed import check_cases, check_suite
from taskgen.bench.work import ExecutionTime, Table, Work
from taskgen.boards import BoardTarget
from taskgen.errors import InputError, Unsupported, UsageError
from taskgen.parameters import parameters_of
from taskgen.session import Plan, Session
from taskgen.testing.stand import Stand, is_board

#: What a run on a board costs besides its tasks: CLEAR, descriptions, and listening for what comes late.
_BOARD_RUN_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """A suite on a target."""

    suite: Suite
    cases: tuple[Case, ...] = ()
    durations_ns: tuple[int, ...] = ()  #: of each case: how long a run takes at most, on the target's clock
    left_out: tuple[tuple[str, str], ...] = ()  #: cases that the target can't run, and why
    skipped: str = ""  #: why the target can't run any of it


def load_suite(name: str) -> Suite:
    """Return a suite by NAME.

    Raises:
        UsageError: there is none, it is something else, or a field of it is wrong.
    """
    found = registry.load("suites", name)
    if not isinstance(found, Suite):
        raise UsageError(f"suite {name!r:.80}: {found!r:.60} is no taskgen.bench.suite.Suite", hint="name its SUITE")
    check_suite(found)
    return found


def setting_of(stand: Stand, *, seed: int, duration_ms: int, work: Work | None = None) -> Setting:
    """Return what suites know about a target; it is opened for that.

    Raises:
        TargetError: it can't be opened.
        UsageError: an option is wrong, or its session runs nothing.
    """
    session = stand.session
    if not session.capabilities.executes:
        raise UsageError(f"{stand.target}: shows descriptions, and runs nothing", hint="choose sim or a board")
    target = stand.target
    return Setting(
        capabilities=session.capabilities,
        generation=stand.generation or ("ideal" if target.session == "sim" else ""),
        seed=seed,
        duration_ms=duration_ms,
        work=work or work_of(session),
        real=is_board(target),
        tags=frozenset(target.settings.features if isinstance(target, BoardTarget) else ()),
    )


def work_of(session: Session) -> Work:
    """Return how much a target computes where no calibration says it."""
    if session.capabilities.job_numbers == "releases":
        return ExecutionTime()
    workload: Any = getattr(session, "workload", None) or registry.load("workloads", "pandaboard")
    return Table(workload.name, workload.programs)


def prepare(suite: Suite, setting: Setting, session: Session) -> Prepared:
    """Make the cases of a suite for a target; nothing is sent.

    Raises:
        UsageError: the suite is wrong (its name is in the message), or something isn't there that its sets need.
    """
    try:
        if skipped := suite.lacks(setting):
            return Prepared(suite, skipped=skipped)
        made = suite.cases(setting)
    except UsageError as error:  # such as work that no program of the target can do
        return Prepared(suite, skipped=str(error))
    except Exception as error:
        raise UsageError(f"suite {suite.name}: making its cases failed: {registry.describe(error)}") from error
    cases: list[Case] = []
    durations: list[int] = []
    left_out: list[tuple[str, str]] = []
    for case in check_cases(suite, made):
        reason, duration_ns = case.skipped, 0
        if not reason:
            reason, duration_ns = _checked(suite, case, session)
        if reason:
            left_out.append((case.name, reason))
        else:
            cases.append(case)
            durations.append(duration_ns + (_BOARD_RUN_NS if setting.real else 0))
    skipped = "" if cases else "the target can't run any of its cases"
    return Prepared(suite, tuple(cases), tuple(durations), tuple(left_out), skipped)


def _checked(suite: Suite, case: Case, session: Session) -> tuple[str, int]:
    """Return why a target can't run a case, and how long a run takes at most."""
    try:
        plan = session.check(case.taskset, horizon_ms=case.horizon_ms, admission=case.admission)
    except Unsupported as error:
        return str(error), 0
    except InputError as error:
        if _is_sound(case):  # what it lacks is what an option of the target asks for, such as a policy
            return str(error), 0
        raise InputError(f"suite {suite.name}, case {case.name}: {error}", hint=error.hint) from None
    return "", longest_ns(plan)


def _is_sound(case: Case) -> bool:
    """Whether a set is a set, whoever runs it."""
    try:
        parameters_of(case.taskset)
    except InputError:
        return False
    return True


def longest_ns(plan: Plan) -> int:
    """Return how long a run takes on the target's clock, if no task is late by more than all the work there is."""
    if any(task.jobs is None for task in plan.tasks):
        return plan.horizon.time_ns
    last_ns = max(task.arrival_ns((task.jobs or 1) - 1) + task.period_ns for task in plan.tasks)
    work_ns = sum((task.jobs or 1) * (task.wcet_ns or 0) for task in plan.tasks)
    return min(plan.horizon.time_ns, last_ns + work_ns)


def estimated_ns(prepared: Sequence[Prepared], *, repeat: int, warmup: int, boards: int) -> int:
    """Return how long all runs take at most, where each board's clock is the wall's."""
    total_ns = sum(
        duration_ns * (repeat + warmup if case.repeat is None else case.repeat)
        for each in prepared
        for case, duration_ns in zip(each.cases, each.durations_ns, strict=True)
    )
    return total_ns // max(1, boards)
