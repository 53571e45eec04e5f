"""What a taskloader knows: its tasks, and the instances (children) of their programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.boards.admission import instance_name

if TYPE_CHECKING:
    from sim.boards.description import Description
    from sim.boards.entrypoint import Timer
    from sim.boards.kernel import Thread


class Instance:
    """A running program: one address space with its initial thread; one per job."""

    __slots__ = ("destroyed", "doomed", "exit_ns", "exited", "job", "task", "thread")

    def __init__(self, task: ManagedTask, thread: Thread) -> None:
        self.task = task
        self.thread = thread
        self.job = -1  #: set at its START
        self.exited = False  #: it called exit, or was forced to; it may still be there
        self.exit_ns: int | None = None  #: when, on the board's clock
        self.doomed = False  #: its destruction is queued or under way
        self.destroyed = False


class ManagedTask:
    """A task of the loader's list, from SEND_DESCS to CLEAR."""

    __slots__ = (
        "accepted", "active", "attempts", "core", "deadline_ns", "description", "done", "kill_timer", "level", "meta",
        "name", "paused", "service", "starts", "timer",
    )  # fmt: skip

    def __init__(self, description: Description, level: int, core: int, deadline_ns: int) -> None:
        self.description = description
        self.deadline_ns = deadline_ns  #: relative, of EDF tasks; 0: fixed priority
        self.name = instance_name(description.id, description.pkg)  #: of its instances
        self.level = level  #: kernel level of its instances; 0: EDF, or never runs
        self.core = core
        self.accepted = True  #: by admission control
        self.paused = True  #: until START and after STOP
        self.active = False  #: an instance has started and not exited
        self.meta: Instance | None = None  #: the child object
        self.attempts = 0  #: `iter`: what `numberofjobs` limits
        self.starts = 0  #: STARTs in the log
        self.done = False  #: JOBS_DONE is logged
        self.service: Thread | None = None  #: the loader's own thread for it
        self.timer: Timer  #: releases
        self.kill_timer: Timer

    def __repr__(self) -> str:
        return f"<managed task {self.name}>"

    @property
    def alive(self) -> bool:
        """Whether an instance is there that hasn't exited."""
        return self.active and self.meta is not None and not self.meta.exited
