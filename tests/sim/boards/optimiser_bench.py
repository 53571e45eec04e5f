"""An optimiser with a few tasks, and jobs of theirs that meet or miss their deadlines."""

from typing import Any

from sim.boards.optimiser import Optimiser, Thread

G3 = ("G3a", "G3b")
D = 10_000  #: relative deadline of all tasks here, in us


def goal(fairness: object, utilization: object, **more: object) -> dict[str, Any]:
    return {"goal": {"fairness": {"apply": fairness}, "utilization": {"apply": utilization}}, **more}


def board(generation: str = "G3b", names: str = "abc", **options: bool) -> Optimiser:
    optimiser = Optimiser(generation, **options)
    for name in names:
        optimiser.register(name, 0, period=10, deadline_us=D)
    return optimiser


def job(name: str, arrival: int, end: int | None, cpu: int = 0, core: int = 0, dead: int | None = None) -> Thread:
    return Thread(name, core, arrival, end, cpu, dead)


def miss(optimiser: Optimiser, name: str, cause: str, at: int, core: int = 0) -> None:
    """Let a job of `name`, released at `at`, miss its deadline, and `cause` exit last before that."""
    threads = [job(name, at, at + D + 1, core=core), job(cause, at - 1, at + D, core=core)]
    review = optimiser.review(name, at + D + 1, threads)
    assert (review.outcome, review.cause) == ("missed", cause)


def meet(optimiser: Optimiser, name: str, at: int, cpu: int = 0) -> None:
    assert optimiser.review(name, at + D, [job(name, at, at + D, cpu)]).outcome == "met"
