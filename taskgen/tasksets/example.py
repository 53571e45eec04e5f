"""Examples of task-sets, from one static task to random and variant ones; all run the program `hey`."""

from taskgen.blocks import hey, period, priority
from taskgen.taskset import BlockTaskSet, TaskSet


class Hey0TaskSet(TaskSet):
    """One static task, described as a dict.

    `hey` prints a line and ends; it starts each 5 seconds, at priority 100.
    """

    def __init__(self, seed: int = 0) -> None:
        task = {"pkg": "hey", "quota": "1M", "config": {}, "priority": 100, "period": 5000}
        super().__init__([task], seed=seed)


class Hey1TaskSet(BlockTaskSet):
    """The same static task, from ready-made blocks."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(hey.HelloWorld, priority.Value(100), period.Value(5000), seed=seed)


class Hey2TaskSet(BlockTaskSet):
    """The same static task, from a ready-made block and blocks of one's own: a block is just a dict."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(hey.HelloWorld, {"priority": 100}, {"period": 5000}, seed=seed)


class Hey3TaskSet(BlockTaskSet):
    """Two tasks with different periods: a list of blocks makes one task per block."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(hey.HelloWorld, priority.Value(100), [period.Value(5000), period.Value(8000)], seed=seed)


class Hey4TaskSet(BlockTaskSet):
    """Four tasks, two priorities x two periods: several lists make the product."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(
            hey.HelloWorld,
            [priority.Value(10), priority.Value(100)],
            [period.Value(5000), period.Value(8000)],
            seed=seed,
        )


class Hey5TaskSet(BlockTaskSet):
    """One task with a random priority: a block may be a callable, which draws from the seed of the set."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(hey.HelloWorld, priority.Random, period.Value(5000), seed=seed)


class Hey6TaskSet(BlockTaskSet):
    """One task in 128 variants, one per priority: a choice makes variants, not tasks."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(hey.HelloWorld, priority.Variants, period.Value(5000), seed=seed)


class Hey7TaskSet(BlockTaskSet):
    """Two tasks with a random period each, in 128 x 128 variants: all pairs of priorities."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__([hey.HelloWorld] * 2, priority.Variants, period.Random, seed=seed)


class Hey8TaskSet(BlockTaskSet):
    """Ten static tasks, all alike."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__([hey.HelloWorld] * 10, priority.Value(100), period.Value(5000), seed=seed)


class Hey9TaskSet(BlockTaskSet):
    """Ten tasks with random priorities."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__([hey.HelloWorld] * 10, priority.Random, period.Value(5000), seed=seed)
