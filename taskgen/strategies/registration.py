"""What Hypothesis learns when it is imported where taskgen is installed: strategies by type, and profiles.

Nothing here may import the strategies at once: Hypothesis may be on its way in because they are.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase, MultiplexedDatabase

from taskgen.task import Task
from taskgen.taskset import TaskSet

#: Where the board profile keeps what failed on a board.
BOARD_EXAMPLES: Final = Path(".taskgen") / "board-examples"


class KnownExamples(ExampleDatabase):
    """What the default profile has stored, to read only: an example that passes elsewhere isn't forgotten."""

    def fetch(self, key: bytes) -> Iterable[bytes]:
        """Return what is stored under a key."""
        database = settings.get_profile("default").database
        return () if database is None else database.fetch(key)

    def save(self, key: bytes, value: bytes) -> None:
        """Keep nothing."""

    def delete(self, key: bytes, value: bytes) -> None:
        """Forget nothing."""


_ON_A_BOARD: Final = (Phase.explicit, Phase.reuse, Phase.generate)
#: The profiles by name. Without a database of their own they use that of the default profile, also under CI, where
#: Hypothesis itself takes none.
PROFILES: Final[dict[str, dict[str, Any]]] = {
    "taskgen-dev": {"max_examples": 100},
    "taskgen-ci": {"max_examples": 200, "report_multiple_bugs": False},
    "taskgen-nightly": {"max_examples": 5000, "stateful_step_count": 50},
    "taskgen-board": {
        "max_examples": 20,
        "phases": _ON_A_BOARD,
        "stateful_step_count": 10,
        "report_multiple_bugs": False,
        "database": MultiplexedDatabase(DirectoryBasedExampleDatabase(BOARD_EXAMPLES), KnownExamples()),
    },
    # More would run the examples on the way to the smallest one, too.
    "taskgen-replay": {
        "max_examples": 1,
        "phases": (Phase.explicit, Phase.reuse),
        "report_multiple_bugs": False,
        "database": KnownExamples(),
    },
    "taskgen-repro": {"max_examples": 100, "derandomize": True, "database": None},
}


def register() -> None:
    """Register strategies for `Task` and `TaskSet`, and the profiles; Hypothesis calls this once."""
    st.register_type_strategy(Task, _tasks)
    st.register_type_strategy(TaskSet, _tasksets)
    default = settings.get_profile("default")
    for name, options in PROFILES.items():
        settings.register_profile(name, settings(default, deadline=None, print_blob=True), **options)


def _tasks(_: type[Task]) -> st.SearchStrategy[Task]:
    from taskgen.strategies import tasks

    return tasks()


def _tasksets(_: type[TaskSet]) -> st.SearchStrategy[TaskSet]:
    from taskgen.strategies import tasksets

    return tasksets()
