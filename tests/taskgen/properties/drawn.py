"""Random task-sets for the laws: plain draws from a seed, small numbers, so that much happens soon."""

import random
from collections.abc import Iterator
from typing import Any

from taskgen import TaskSet

#: Everything that a set may have beside C, T and a priority or a deadline.
EXTRAS = ("offset", "jitter", "criticaltime", "numberofjobs", "single", "deadline")
PERIODS = (4, 5, 6, 8, 10, 12, 15, 20)
HORIZON_MS = 60


def tasks(rng: random.Random, kind: str, extras: tuple[str, ...] = (), load: float = 1.0) -> list[dict[str, Any]]:
    """Draw 1 to 5 tasks of a kind: fp, edf or mixed; about `load` of one core, extras with some probability."""
    number = rng.randint(1, 5)
    drawn = []
    for place in range(number):
        period = rng.choice(PERIODS)
        share = rng.uniform(0.3, 1.7) * load / number
        task: dict[str, Any] = {"id": place, "executiontime": max(1, round(period * share)), "period": period}
        by_deadline = kind == "edf" or (kind == "mixed" and rng.random() < 0.5)
        if by_deadline:
            task["deadline"] = rng.choice([period, period, rng.randint(period // 2, 2 * period)])
        else:
            task["priority"] = rng.choice([place, rng.randint(0, 3)])
        drawn.append(task | _extras(rng, task, extras))
    rng.shuffle(drawn)
    return drawn


def _extras(rng: random.Random, task: dict[str, Any], extras: tuple[str, ...]) -> dict[str, Any]:
    period = task["period"]
    values = {
        "offset": rng.randint(0, 12),
        "jitter": rng.randint(0, period),
        "criticaltime": rng.randint(1, period),
        "numberofjobs": rng.randint(1, 5),
        "period": 0,
        "deadline": rng.randint(period // 2, 2 * period),
    }
    chosen = {name for name in extras if rng.random() < 0.3}
    if "single" in chosen:
        chosen = chosen - {"single", "numberofjobs"} | {"period"}
    if "deadline" in chosen and "priority" in task:
        chosen.discard("deadline")  # it would be scheduled by its deadline
    return {name: values[name] for name in values if name in chosen}


def sets(seed: int, number: int, kind: str, *, extras: tuple[str, ...] = (), load: float = 1.0) -> Iterator[TaskSet]:
    """Yield sets that depend on the seed alone."""
    rng = random.Random(f"{seed} {kind} {extras}")
    for _ in range(number):
        yield TaskSet(tasks(rng, kind, extras, load))
