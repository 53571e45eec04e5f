"""Many variants on many targets: each is run once, by whichever target is free, and has exactly one result.

>>> from taskgen.distributor import Distributor
>>> from taskgen.tasksets.example import Hey6TaskSet
>>> with Distributor("sim") as distributor:
...     distributor.start(Hey6TaskSet())
>>> distributor.progress.finished
128

One daemon thread per target reads its events, one more tells the monitors. Variants are drawn as targets come free:
an endless set costs nothing.
"""

import inspect
import random
import threading
import time
import warnings
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeAlias

from taskgen import registry, targets
from taskgen.boards import BoardTarget
from taskgen.distributor.audience import Audience, Detached, say
from taskgen.distributor.handout import Handout
from taskgen.distributor.health import Care, TargetHealth
from taskgen.distributor.items import Order, Progress
from taskgen.distributor.ledger import Ledger
from taskgen.distributor.recovery import Recovery
from taskgen.distributor.roster import Seat
from taskgen.distributor.source import Source, Work
from taskgen.distributor.worker import Worker
from taskgen.errors import UsageError
from taskgen.monitor import Monitor
from taskgen.power import switch_of
from taskgen.session import Session, Target
from taskgen.units import Milliseconds

Targets: TypeAlias = str | Target | Iterable[str | Target]

#: The shares of a closing time-out after which runs and threads are left behind; the rest is for the monitors.
_FOR_RUNS = 0.75
_FOR_THREADS = 0.9
#: How long a Distributor that nobody closed may hold up the end of the program.
_LAST_SECONDS = 2.0


class Distributor:
    """Runs the variants of task-sets on one or several targets.

    Args:
        target: what `taskgen.targets.parse` understands (`"sim"`, `"sim:G1"`, an address), a `Target`, or several.
        session: the session for targets that are given as text: a name, or a `Session` class.
        port: the port of boards; None: their session's own.
        options: keyword arguments of the session's constructor, for targets that are given as text.
        retries: how often a variant is tried again after its target failed.
        quarantine_after: how many failures in a row put a target into quarantine (until the next `start`).
        cycle_after: after how many failures in a row, and after as many more, its power is cycled, if the inventory
            says how.
        backoff_s: how long a target rests after its first failure; doubles with each further one.
        max_backoff_s: the longest rest. What the inventory says about the health of a target counts more.
        max_events: a variant with more events than this fails.
        backlog: how many finished runs may wait for the monitors before nothing more is handed out.

    Raises:
        UsageError: a target, a session, an option or a power driver is unknown.
    """

    def __init__(
        self,
        target: Targets,
        *,
        session: str | type[Session] | None = None,
        port: int | None = None,
        options: Mapping[str, Any] | None = None,
        retries: int = 2,
        quarantine_after: int = 5,
        cycle_after: int = 2,
        backoff_s: float = 0.25,
        max_backoff_s: float = 30.0,
        max_events: int = 10**6,
        backlog: int = 8,
    ) -> None:
        name = session.__name__ if isinstance(session, type) else session
        given = dict(options or {}) if port is None else {**(options or {}), "port": port}
        self.targets = tuple(targets.expand(target, session=name, options=given))
        own = {name: session} if isinstance(session, type) else {}
        kinds = [own.get(each.session) or _session_class(each.session) for each in self.targets]
        care = Care(quarantine_after, cycle_after, backoff_s, max_backoff_s)
        self._audience = Audience()
        seats = [_seat(each) for each in self.targets]
        self._handout = Handout(seats, backlog=backlog, retries=retries, report=self._audience.result)
        self._workers = [
            self._worker(index, each, kind, _care(each, care), max_events)
            for index, (each, kind) in enumerate(zip(self.targets, kinds, strict=True))
        ]
        self._threads: list[threading.Thread] = []
        # The threads know nothing of this object, so that it can be dropped; then work that remains is lost.
        self._finalizer = weakref.finalize(self, _dropped, self._handout, self._audience, self._threads)

    def _worker(self, index: int, target: Target, kind: type[Session], care: Care, max_events: int) -> Worker:
        switch = switch_of(target)
        recovery = Recovery(index, target, kind, care, switch, self._handout, random.Random(index))
        every_s = care.every_s
        return Worker(
            index, target, kind, self._handout, self._audience, recovery, max_events=max_events, check_after_s=every_s
        )

    @property
    def monitors(self) -> list[Monitor]:
        """The monitors; change the list as you like."""
        return self._audience.monitors

    @property
    def monitor(self) -> Monitor | None:
        """The first monitor; setting it makes it the only one."""
        return self.monitors[0] if self.monitors else None

    @monitor.setter
    def monitor(self, monitor: Monitor | None) -> None:
        self.monitors[:] = [] if monitor is None else [monitor]

    @property
    def detached(self) -> list[Detached]:
        """The monitors that raised, with what they raised."""
        return self._audience.detached

    @property
    def progress(self) -> Progress:
        """A snapshot of how far the work is."""
        return self._handout.progress()

    @property
    def health(self) -> list[TargetHealth]:
        """A snapshot of how the targets are, in their order."""
        return self._handout.health()

    def start(
        self,
        taskset: Work,
        admission: Mapping[str, Any] | None = None,
        wait: bool = True,
        *,
        horizon_ms: Milliseconds | None = None,
        seed: int = 0,
        limit: int | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """Run a task-set (all its variants), variants, or several task-sets.

        Args:
            taskset: what to run; drawn lazily, variants of several task-sets are numbered on.
            admission: a goal for the target's admission control, such as `Fairness()`.
            wait: wait until all is done, as `wait_finished` does.
            horizon_ms: how long each variant runs; None: see `taskgen.horizon`.
            seed: noted in each `Run`.
            limit: run at most so many variants, stored ones included.
            ledger: knows which variants have their result, and keeps the new ones; see `taskgen.store`.

        Raises:
            InputError: the description is wrong: an empty set, an empty choice, a value of the first variant.
            SessionBusy: the work of an earlier `start` isn't over.
            UsageError: the Distributor is closed. What `wait_finished` raises, if `wait`.
        """
        source = Source(taskset, limit, None if ledger is None else ledger.stored)
        source.check()
        with self._closed_by_ctrl_c():
            self._handout.begin(Order(source, admission, horizon_ms, seed, ledger))
            self._audience.serve(self._handout)
            if not self._threads:
                for worker in self._workers:
                    thread = threading.Thread(target=worker.work, name=f"taskgen {worker.target}", daemon=True)
                    self._threads.append(thread)
                    thread.start()
        if wait:
            self.wait_finished()

    def stop(self) -> None:
        """Hand out nothing more and stop what runs; returns at once, from any thread."""
        self._handout.end("stopped")

    def wait_finished(self, timeout: float | None = None) -> bool:
        """Wait until all variants have their result and the monitors know it; False after `timeout` seconds.

        Ctrl-C stops and closes.

        Raises:
            UsageError: a session refused a variant as it is described; names the variant.
            TargetError: no target is left, and not all variants were tried.
            BrokenPipeError: nobody reads what a monitor writes.
        """
        if threading.current_thread() is self._audience.thread:
            raise UsageError("a monitor can't wait for the end of what it monitors")
        with self._closed_by_ctrl_c():
            finished = self._handout.wait_idle(timeout)
        if finished and self._handout.error is not None:
            raise self._handout.error
        return finished

    @contextmanager
    def _closed_by_ctrl_c(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            self.close()
            raise

    def close(self, timeout: float = 10.0) -> None:
        """Stop, release the targets and close the monitors, within `timeout` seconds; idempotent.

        A run that doesn't stop in time is reported as stopped, and its thread is left behind.
        """
        self.stop()
        if threading.current_thread() is self._audience.thread:
            return  # a monitor can't wait for itself: the one who made the Distributor closes it
        if self._finalizer.detach():
            for name in _shut_down(self._handout, self._audience, self._threads, timeout):
                say(f"{name}: didn't stop within {timeout:g} s and was left behind")
            for target in self.targets:
                if isinstance(target, BoardTarget) and target.connection is not None:
                    target.connection.close()  # what discovery opened, and no session needed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _session_class(name: str) -> type[Session]:
    found = registry.load("sessions", name)
    if not (inspect.isclass(found) and issubclass(found, Session)):
        raise UsageError(f"session {name!r}: {found!r:.60} is no class derived from taskgen.Session")
    return found


def _seat(target: Target) -> Seat:
    entry = target.entry if isinstance(target, BoardTarget) else None
    if entry is None or entry.parallel is None:
        return Seat(str(target))
    return Seat(str(target), entry.name, entry.parallel)


def _care(target: Target, care: Care) -> Care:
    """Return how a target is looked after: what the inventory says, and the rest as for all."""
    health = target.settings.health if isinstance(target, BoardTarget) else None
    if health is None:
        return care
    said = {
        "quarantine_after": health.quarantine_after,
        "backoff_s": _seconds(health.backoff_ns),
        "max_backoff_s": _seconds(health.max_backoff_ns),
        "probe": health.probe,
        "every_s": _seconds(health.every_ns),
    }
    return replace(care, **{key: value for key, value in said.items() if value is not None})  # type: ignore[arg-type]


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / 10**9


def _shut_down(handout: Handout, audience: Audience, threads: list[threading.Thread], timeout: float) -> list[str]:
    """Stop everything within `timeout` seconds; return the names of the threads that were left behind."""
    start = time.monotonic()
    handout.shut()  # before waiting: those who have nothing to do go home meanwhile
    for_runs = timeout * _FOR_RUNS
    if not handout.wait_idle(for_runs):
        handout.abandon(f"it didn't stop within {for_runs:g} s")
    left_behind = _join(threads, start + timeout * _FOR_THREADS)
    audience.leave()
    left_behind += _join([] if audience.thread is None else [audience.thread], start + timeout)
    return [thread.name.removeprefix("taskgen ") for thread in left_behind]


def _join(threads: list[threading.Thread], deadline: float) -> list[threading.Thread]:
    threads = [thread for thread in threads if thread.ident is not None]  # Ctrl-C may come before all were started
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
    return [thread for thread in threads if thread.is_alive()]


def _dropped(handout: Handout, audience: Audience, threads: list[threading.Thread]) -> None:
    """Close what nobody closed: at the end of the program, or when the last reference is gone."""
    idle, progress = handout.idle, handout.progress()
    handout.end("its Distributor was dropped")
    # A garbage collection may happen in one of our own threads, which can't wait for itself.
    in_main = threading.current_thread() is threading.main_thread()
    _shut_down(handout, audience, [] if not in_main else threads, _LAST_SECONDS if in_main else 0.0)
    if not idle:
        total = "" if progress.total is None else f" of {progress.total}"
        message = f"a Distributor was dropped at work: {progress.done}{total} variants have a result"
        say(f"warning: {message}; call wait_finished() or close()")
        warnings.warn(message, ResourceWarning, stacklevel=2)
