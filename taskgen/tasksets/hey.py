"""The task-set of the announcement."""

from taskgen.blocks import hey, period, priority
from taskgen.taskset import BlockTaskSet


class Hey1TaskSet(BlockTaskSet):
    """One `hey` each 5 seconds at priority 100."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(hey.HelloWorld, priority.Value(100), period.Value(5000), seed=seed)
