"""Boards that are simulators behind addresses, and are lost on request."""

from collections.abc import Callable, Generator
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any, Self

import pytest

from sim.session import SimSession
from taskgen import Event, Target, registry
from taskgen.bench import canary
from taskgen.bench.suite import Case, Measured, Metric, Setting, Suite
from taskgen.bench.watch import Watch
from taskgen.distributor.health import Care
from taskgen.errors import TargetLost
from taskgen.session import Plan
from taskgen.taskset import TaskSet

#: No rest worth mentioning between two attempts.
HURRY = Care(backoff_s=0.001)
METRIC = Metric("response", "ms", "less", 0, "how long the job took")


class Pooled(SimSession):
    """A board: the script is asked before each run, with the address and the set."""

    capabilities = replace(SimSession.capabilities, deterministic=False)
    script: Callable[["Pooled", Plan], object] = staticmethod(lambda session, plan: None)
    kinds: dict[str, int] = {}  # noqa: RUF012  # set by the fixture
    address = ""

    def __init__(self, *, port: int = 3001) -> None:
        super().__init__(cores=1)

    @classmethod
    def open(cls, target: Target) -> Self:
        self = cls.construct(target.options)
        self.address = target.address
        self.capabilities = replace(self.capabilities, cores=cls.kinds.get(target.address, 1))
        return self

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        self.script(self, plan)
        yield from super().events(plan)


def install(monkeypatch: pytest.MonkeyPatch, script: Callable[[Pooled, Plan], object] | None = None) -> None:
    """Let it be an installed session, `pooled`."""
    installed = registry.entries
    entry = EntryPoint("pooled", f"{Pooled.__module__}:{Pooled.__qualname__}", "taskgen.sessions")

    def entries(group: str) -> dict[str, EntryPoint]:
        return {**installed(group), "pooled": entry} if group == "sessions" else installed(group)

    monkeypatch.setattr(registry, "entries", entries)
    monkeypatch.setattr(Pooled, "kinds", {})
    monkeypatch.setattr(canary, "sing", lambda stand, _: {"board": stand.target.address, "good": True})
    if script is not None:
        monkeypatch.setattr(Pooled, "script", staticmethod(script))


def pool(*hosts: str) -> list[Target]:
    return [Target("pooled", host) for host in hosts]


def lose(*hosts: str, after: int = 0) -> Callable[[Pooled, Plan], object]:
    """Return a script that loses boards, each after so many runs."""
    runs: dict[str, int] = {}

    def script(session: Pooled, plan: Plan) -> None:
        runs[session.address] = runs.get(session.address, 0) + 1
        if session.address in hosts and runs[session.address] > after:
            raise TargetLost("the cable is out", hint="plug it in")

    return script


def response(measured: Measured) -> dict[str, float]:
    return {"response": max(measured.trace.max_response_ns.values()) / 1e6}


def case(name: str = "one", work_ms: int = 2, **fields: Any) -> Case:
    tasks = [{"executiontime": work_ms, "period": 10, "numberofjobs": 1}]
    return Case(name, TaskSet(tasks), fields.pop("measure", response), **fields)


def suite(*cases: Case, name: str = "toy", **fields: Any) -> Suite:
    def make(setting: Setting) -> tuple[Case, ...]:
        return cases or (case(),)

    return Suite(name, "does it compute?", 1, fields.pop("metrics", (METRIC,)), make, **fields)


class Heard(Watch):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, int]] = []
        self.given_up: list[str] = []
        self.estimate_ns: int | None = None

    def begin(self, runs: Any, estimate_ns: int | None, boards: int) -> None:
        self.estimate_ns = estimate_ns

    def ran(self, done: int, suite: Suite, case: Case, repetition: int, sampled: Any) -> None:
        self.runs.append((case.name, repetition))

    def lost(self, board: str, reason: str) -> None:
        self.given_up.append(board)
