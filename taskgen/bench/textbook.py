"""What theory and the textbook simulator say of a set on a target, before anything runs.

The textbook knows C, T, D and priorities, one core, and no overheads. On a board C is what its work says that a job
computes there; whatever else a job costs (creation and teardown of its process) is not in it: the difference between
prediction and measurement is the target's own.
"""

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any, Final

from taskgen import registry
from taskgen.analysis import is_schedulable, qpa
from taskgen.bench.scale import row_of
from taskgen.bench.suite import Setting
from taskgen.bench.urgency import by_edf
from taskgen.parameters import parameters_of
from taskgen.session import Session, Target
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.testing.runs import Executed, execute
from taskgen.units import Milliseconds

_KNOWN: Final = ("id", "period", "deadline", "priority", "offset")


def textbook(setting: Setting, tasks: Iterable[Task]) -> TaskSet | None:
    """Return a set as the textbook knows it: endless, without programs and kills; None: some C is unknown."""
    described: list[Task] = []
    for task in tasks:
        wcet_ms = setting.work.wcet_ms(task)
        if wcet_ms is None:
            return None
        described.append(Task({key: task[key] for key in _KNOWN if key in task}, {"executiontime": wcet_ms}))
    return TaskSet(described)


def schedulable(tasks: Iterable[Task]) -> bool:
    """Tell whether all deadlines are met, exactly: response-time analysis for priorities, processor demand for EDF.

    Audsley et al., Software Engineering Journal 8(5), 1993; Zhang & Burns, IEEE TC 58(9), 2009.
    """
    parameters = parameters_of(tasks)
    return qpa(parameters) is None if all(map(by_edf, parameters)) else is_schedulable(parameters)


def simulate(tasks: TaskSet, horizon_ms: Milliseconds) -> Executed:
    """Run a set on the textbook simulator, with its defaults."""
    session: Session = registry.load("sessions", "sim").open(Target("sim"))
    with closing(session):
        return execute(session, tasks, horizon_ms=horizon_ms)


def on_one_core(setting: Setting) -> Mapping[str, Any]:
    """Return the attributes that put a task on the first core; boards put all of them on one anyway."""
    cores = setting.capabilities.cores
    return {} if cores == 1 or row_of(setting) is not None else {"cores": cores, "coreoffset": 0}
