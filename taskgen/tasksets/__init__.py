"""Ready-made task-sets, and the way from a NAME to a task-set."""

import inspect

from taskgen import registry
from taskgen.errors import UsageError
from taskgen.taskset import TaskSet


def named(name: str, seed: int = 0) -> TaskSet:
    """Return the task-set that a NAME stands for: a `TaskSet`, or a class or function that makes one.

    What makes one is called with `seed` if it accepts that.

    Raises:
        UsageError: there is no such name, or making the task-set failed.
    """
    found = registry.load("tasksets", name)
    if isinstance(found, TaskSet):
        return found
    if not callable(found):
        raise UsageError(f"task-set {name!r}: {found!r:.60} is no TaskSet and doesn't make one")
    try:
        made = found(seed=seed) if _takes_seed(found) else found()
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"task-set {name!r}: making it failed: {registry.describe(error)}") from error
    if not isinstance(made, TaskSet):
        raise UsageError(f"task-set {name!r}: it made {made!r:.60}, expected a TaskSet")
    return made


def _takes_seed(maker: object) -> bool:
    try:
        parameters = inspect.signature(maker).parameters  # type: ignore[arg-type]  # it is callable
    except (TypeError, ValueError):  # some built-in callables have no signature
        return False
    return "seed" in parameters
