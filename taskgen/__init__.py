"""A Session runs a TaskSet on a target and yields Events.

Everything else describes what goes in, or judges what comes out:

blocks, files -> TaskSet -> Variants -> Distributor -> Session -> Events -> Trace -> monitors, results
"""

from taskgen.errors import TaskgenError
from taskgen.events import Event, EventType
from taskgen.session import Capabilities, Session, Target
from taskgen.task import Task
from taskgen.taskset import BlockTaskSet, TaskSet
from taskgen.trace import Job, Trace
from taskgen.variants import Variants

__all__ = [
    "BlockTaskSet",
    "Capabilities",
    "Event",
    "EventType",
    "Job",
    "Session",
    "Target",
    "Task",
    "TaskSet",
    "TaskgenError",
    "Trace",
    "Variants",
    "__version__",
]

__version__ = "0.1.0"
