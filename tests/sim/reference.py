"""A reference scheduler that is slow and obvious: it looks at the world once per tick.

A tick is 1 ms; all times of the random sets are whole ticks. The reference keeps jobs in lists and sorts them at each
decision; it shares nothing with the simulator but the text of the rules.
"""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

INFINITE = 10**9
Tasks = list[dict[str, Any]]
Options = dict[str, Any]


@dataclass(eq=False)
class RefJob:
    task: dict[str, Any]
    index: int
    release: int
    left: int
    work: int
    core: int | None = None  # where it ran last
    start: int | None = None
    finish: int | None = None
    outcome: str | None = None
    preemptions: int = 0
    place: int = 0  # in the queue of round robin

    @property
    def deadline(self) -> int:
        relative = self.task.get("deadline") or self.task["period"]
        return self.release + relative if relative else INFINITE


@dataclass(eq=False)
class RefCore:
    number: int
    cluster: list["RefCore"] = field(default_factory=list)
    job: RefJob | None = None
    ran: bool = False  # the job has run since it was selected
    last: RefJob | None = None  # the job that it ran last
    stages: list[list[Any]] = field(default_factory=list)  # kind and ticks left; the first one is going on
    happened: bool = False  # something that a decision must answer
    decide: bool = False
    quantum: int = INFINITE

    @property
    def locked(self) -> bool:
        return bool(self.stages)


class Reference:
    """One run in ticks; `jobs` and `overheads` (core, kind, start, end) are the result."""

    def __init__(self, tasks: Tasks, horizon: int, options: Options) -> None:
        self.tasks, self.horizon = tasks, horizon
        self.policy, self.tie, self.overrun = options["policy"], options["tie"], options["overrun"]
        self.preemptive, self.quantum = options["preemptive"], options["quantum"]
        self.costs = options["overheads"]
        self.cores = [RefCore(number) for number in range(options["cores"])]
        for core in self.cores:
            core.cluster = self.cores if options["migration"] == "global" else [core]
        self.partitioned = options["migration"] != "global"
        self.jobs: list[RefJob] = []
        self.alive: list[RefJob] = []
        self.overheads: list[tuple[int, str, int, int]] = []
        self.places = count()
        self.released = dict.fromkeys((task["id"] for task in tasks), 0)

    def run(self) -> "Reference":
        for now in range(self.horizon + 1):
            self.now = now
            self.deaths()
            if now == self.horizon or self.done():
                break
            self.births()
            for core in self.cores:
                self.look(core)
            for cluster in [self.cores] if not self.partitioned else [[core] for core in self.cores]:
                self.dispatch(cluster)
            self.tick()
        for core in self.cores:
            if core.locked:
                self.close(core)
        for job in self.alive:
            job.finish, job.outcome = self.horizon, "EXIT_EXTERNAL"
        return self

    def limit(self, task: dict[str, Any]) -> int:
        return int(task.get("numberofjobs") or (INFINITE if task["period"] else 1))

    def done(self) -> bool:
        return not self.alive and all(self.released[task["id"]] == self.limit(task) for task in self.tasks)

    # -- jobs

    def core_of(self, job: RefJob) -> RefCore | None:
        return next((core for core in self.cores if core.job is job), None)

    def may_run_on(self, task: dict[str, Any]) -> list[RefCore]:
        return [self.cores[task["coreoffset"]]] if self.partitioned else self.cores

    def concern(self, job: RefJob) -> None:
        core = self.core_of(job)
        for each in [core] if core else self.may_run_on(job.task):
            each.happened = True

    def deaths(self) -> None:
        for core in self.cores:
            if core.job and core.job.left == 0:
                self.end(core.job, "EXIT")
        for job in sorted(self.alive, key=lambda job: (job.task["id"], job.index)):
            limit = job.release + (job.task.get("criticaltime") or INFINITE)
            if (min(limit, job.deadline) if self.overrun == "kill" else limit) <= self.now:
                self.end(job, "EXIT_CRITICAL")

    def end(self, job: RefJob, outcome: str) -> None:
        self.concern(job)
        job.finish, job.outcome = self.now, outcome
        self.alive.remove(job)
        core = self.core_of(job)
        if core:
            core.job, core.quantum = None, INFINITE
        following = [other for other in self.alive if other.task is job.task]
        if following:
            following[0].place = next(self.places)
            self.concern(following[0])

    def births(self) -> None:
        for task in self.tasks:
            since = self.now - task.get("offset", 0)
            index = self.released[task["id"]]
            if since != index * task["period"] or index == self.limit(task):
                continue
            self.released[task["id"]] += 1
            work = task["times"][index % len(task["times"])]
            job = RefJob(task, index, self.now, work, work)
            self.jobs.append(job)
            self.concern(job)
            if self.overrun == "skip" and any(other.task is task for other in self.alive):
                job.finish, job.outcome = self.now, "NOT_SCHEDULED"
            else:
                self.alive.append(job)
                job.place = next(self.places)

    def ready(self, job: RefJob) -> bool:
        return not any(other.task is job.task and other.index < job.index for other in self.alive)

    # -- decisions

    def rank(self, job: RefJob) -> tuple[int, int]:
        task = job.task
        if self.policy == "auto":
            by_deadline = task.get("deadline") or task.get("priority") == 128
            return (1, job.deadline) if by_deadline else (0, task.get("priority", 127))
        if self.policy == "rm":
            order = sorted((other["period"] or INFINITE, other["id"]) for other in self.tasks)
            return (0, order.index((task["period"] or INFINITE, task["id"])))
        return {
            "fp": (0, task["priority"]),
            "edf": (0, job.deadline),
            "fifo": (0, job.release),
            "rr": (0, job.place),
            "llf": (0, INFINITE if job.deadline == INFINITE else job.deadline - self.now - job.left),
        }[self.policy]

    def look(self, core: RefCore) -> None:
        """Is an overhead over, does one begin, is a decision due?"""
        core.decide = False
        if core.locked and core.stages[0][1] == 0:
            kind = core.stages[0][0]
            self.close(core)
            if kind == "scheduler":
                core.decide, core.happened = True, False
        if core.locked:
            return
        if core.happened:
            core.happened = False
            if core.job and not self.preemptive:
                return
            if self.costs["scheduler"]:
                core.stages = [["scheduler", self.costs["scheduler"], self.now]]
            else:
                core.decide = True
        elif core.quantum <= self.now:
            core.decide = True

    def close(self, core: RefCore) -> None:
        kind, _, since = core.stages.pop(0)
        if since < self.now:
            self.overheads.append((core.number, kind, since, self.now))
        if core.stages:
            core.stages[0].append(self.now)

    def dispatch(self, cluster: list[RefCore]) -> None:
        free = [core for core in cluster if not core.locked]
        if not any(core.decide for core in free):
            return
        for core in free:
            if core.job and core.quantum <= self.now:
                core.job.place = next(self.places)
                core.quantum = self.now + self.quantum
        on_core = [core.job for core in free if core.job]
        waiting = [
            job
            for job in self.alive
            if self.ready(job) and not self.core_of(job) and self.may_run_on(job.task)[0] in cluster
        ]
        chosen = sorted(on_core + waiting, key=lambda job: self.order(job, job in on_core))[: len(free)]
        losers = [core for core in free if core.job and core.job not in chosen]
        for core in sorted(losers, key=lambda core: self.order(core.job, True)):  # type: ignore[arg-type]  # has a job
            assert core.job is not None
            if core.ran:
                core.job.preemptions += 1
                core.job.place = next(self.places)
            core.job, core.quantum = None, INFINITE
        for job in chosen:
            if job not in on_core:
                empty = [core for core in free if not core.job]
                self.give(next((core for core in empty if core.number == job.core), empty[0]), job)

    def order(self, job: RefJob, on_core: bool) -> tuple[Any, ...]:
        keeps = on_core and not self.preemptive
        if self.tie == "index":
            return (not keeps, self.rank(job), job.task["id"])
        return (not keeps, self.rank(job), not on_core, job.release, job.task["id"])

    def give(self, core: RefCore, job: RefJob) -> None:
        core.job, core.ran = job, False
        if core.last is not job and self.costs["context_switch"]:
            core.stages.append(["context_switch", self.costs["context_switch"]])
        if job.start is not None and job.core != core.number and self.costs["migration"]:
            core.stages.append(["migration", self.costs["migration"]])
        if core.stages:
            core.stages[0].append(self.now)

    def tick(self) -> None:
        for core in self.cores:
            if core.locked:
                core.stages[0][1] -= 1
            elif core.job:
                if not core.ran:
                    core.ran, core.last = True, core.job
                    core.job.core = core.number
                    core.job.start = self.now if core.job.start is None else core.job.start
                    if self.policy in {"rr", "llf"} and self.preemptive:
                        core.quantum = self.now + self.quantum
                core.job.left -= 1
