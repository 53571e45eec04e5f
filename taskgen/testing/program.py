"""Programs: what somebody does with a session, step by step, judged by a model of what every session promises.

The steps are plain calls, and `Program.script` writes them down as a file that takes them again:

>>> from sim.session import SimSession
>>> from taskgen import TaskSet
>>> with Program(SimSession) as program:
...     program.connect()
...     program.describe(TaskSet([{"executiontime": 1, "period": 10, "priority": 0}]), horizon_ms=25)
...     program.start()
...     program.take(3)
...     program.stop()
...     program.finish()

`taskgen.testing.stateful` looks for programs that break a promise. The model is that of `taskgen.Session`:

- a run ends once: done, stopped, closed, or lost, and nothing comes behind its end;
- `stop()` is sticky for its run, idempotent, and a no-op when there is none;
- `active` and `plan` tell the truth after each step; a second run is refused, whatever else goes on;
- what is refused is refused when `run` is called, before anything is sent;
- the events of a run obey the laws of `taskgen.testing.event_laws`, and no event of an earlier set is among them;
- a deterministic session yields what a new one would;
- a target is lost only after a fault, with a `TargetError` behind the events that arrived; when the fault is gone, at
  most the first run of a session that was open meanwhile is lost, and after `connect` none;
- in the end no thread and no socket is left.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from types import TracebackType
from typing import Concatenate, ParamSpec, Self

from taskgen.errors import SessionBusy, TargetError
from taskgen.registry import describe
from taskgen.session import Session, Target
from taskgen.taskset import TaskSet
from taskgen.testing.bounded import Bounded, meanwhile
from taskgen.testing.event_laws import require
from taskgen.testing.leftovers import Leftovers
from taskgen.testing.model import FAR_MS, Held
from taskgen.testing.script import Step, script_of
from taskgen.testing.subject import Faults, Refusal, Subject, refused
from taskgen.units import to_ns

P = ParamSpec("P")


def _step(method: "Callable[Concatenate[Program, P], None]") -> "Callable[Concatenate[Program, P], None]":
    """Make a method a step: it is written down, its time is bounded, and the session's state is looked at behind it."""

    @wraps(method)
    def step(self: "Program", /, *args: P.args, **kwargs: P.kwargs) -> None:
        self._steps.append(Step(method.__name__, args, kwargs))
        self._do(partial(method, self, *args, **kwargs), method.__name__)

    return step


class Program:
    """What is done with sessions of one target; a context manager that ends with `close`.

    Args:
        open_session: a target, or what opens a session of it when it is called. If it has methods `probe()` and
            `sent(session)`, they are used (`taskgen.testing.subject.Probing`, `Counting`).
        faults: what can go wrong with the target.
        patience_s: how long a step may take.

    Each step raises AssertionError with one sentence: the promise that is broken, and how.
    """

    def __init__(
        self,
        open_session: Target | Callable[[], Session],
        *,
        faults: Faults | None = None,
        patience_s: float = 60.0,
    ) -> None:
        self.connected = False  #: `connect` was the last word, not `disconnect`
        self.described = False  #: there is something to run
        self.holds = False  #: `start` was the last word, not what ends a run
        self.endless = False  #: what it began goes on for very long, unless it is stopped
        self.broken = False  #: a fault was injected, and not mended
        self.noted = False  #: a failure is to have the script as its note
        self._subject = Subject(open_session)
        self._faults = faults
        self._patience_s = patience_s
        self._steps: list[Step] = []
        self._before = Leftovers.now()
        self._bounded: Bounded | None = None
        self._failed = False
        self._session: Session | None = None
        self._taskset = TaskSet()
        self._horizon_ms: int | None = None
        self._held: Held | None = None
        self._sound = True  # no fault that may cost a run
        self._doubtful = False  # the session was open while the target was mended

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._failed = self._failed or error is not None
        self.close()

    # -- connections -----------------------------------------------------------------------------------------------

    @_step
    def connect(self) -> None:
        """Open a session; where a fault is, nobody may answer."""
        require(not self.connected, "connect() comes once before disconnect()")
        self.connected = True
        self._connect()

    def _connect(self) -> None:
        try:
            self._session = self._subject.open()
        except TargetError as error:
            require(not self._sound, f"a target without faults lets itself be opened; it raised {describe(error)}")
        else:
            require(not self._session.active, "a session that was just opened is free")
            self._doubtful = False

    @_step
    def disconnect(self) -> None:
        """Close the session, twice; a run that goes on may be lost then."""
        session, self._session, self.connected = self._session, None, False
        held = self._release()
        if session is None:
            return
        session.close()
        if held is not None:
            held.spoil()
            held.close()
        session.close()  # idempotent
        require(not session.active, "closing the generator frees the session, also one that was closed")

    @_step
    def probe(self) -> None:
        """Ask whether anybody is there; that disturbs no run."""
        found = self._subject.probe()
        require(found is not False or not self._sound, "probe() finds a target without faults")
        self._look()

    # -- runs ------------------------------------------------------------------------------------------------------

    @_step
    def describe(self, taskset: TaskSet, horizon_ms: int | None = None) -> None:
        """Say what runs from the next `start` on; `Session.check` accepts it and sends nothing."""
        self._taskset, self._horizon_ms, self.described = taskset, horizon_ms, True
        session = self._session
        if session is None:
            return
        with self._subject.nothing_sent(session, "check()"):
            plan = session.check(taskset, horizon_ms=horizon_ms)
        require(len(plan.tasks) == len(taskset), f"a plan has the tasks of its set, {len(taskset)}: {plan!r:.200}")
        if horizon_ms is not None:
            asked_ns = to_ns(horizon_ms, "horizon")
            require(plan.horizon == (asked_ns, "requested"), f"a plan has the horizon that was asked for: {plan!r:.80}")
        self._look()

    @_step
    def start(self) -> None:
        """Call `run`; the set starts at the first event that is taken."""
        require(not self.holds, "start() comes when no run is held")
        self.holds, self.endless = True, self._horizon_ms is not None and self._horizon_ms >= FAR_MS
        session = self._session
        if session is None:
            return
        with self._subject.nothing_sent(session, "run(), before the first next,"):
            events = session.run(self._taskset, horizon_ms=self._horizon_ms)
        require(inspect.isgenerator(events), f"run() returns a generator, got {events!r:.80}")
        require(session.plan is not None and session.plan.taskset is self._taskset, "`plan` is that of the latest run")
        self._held = Held(
            session,
            events,
            self._horizon_ms,
            may_be_lost=not self._sound or self._doubtful,
            ends_untold=self._subject.ends_untold,
        )
        self._look()

    @_step
    def start_second(self) -> None:
        """Call `run` while the session may be active: then it says that it is busy, and nothing else happens."""
        session, held = self._session, self._held
        if session is None or held is None or held.end:
            return
        with self._subject.nothing_sent(session, "a run that is refused"):
            try:
                session.run(self._taskset, horizon_ms=self._horizon_ms)
            except SessionBusy:
                pass
            else:
                raise AssertionError("a second run while one is active raises SessionBusy; it raised nothing")
        self._look()

    @_step
    def take(self, count: int) -> None:
        """Take so many events of the run that is held, or fewer, if it is over."""
        if self._held is not None:
            self._held.take(count)
            self._taken(self._held)

    @_step
    def finish(self) -> None:
        """Take all events of the run that is held, and judge the run."""
        held = self._release()
        if held is not None:
            held.drain()
            self._taken(held)
            self._judge(held)

    @_step
    def finish_stopped(self) -> None:
        """Take an event of the run that is held, and the rest while another thread stops it."""
        held = self._release()
        if held is None:
            return
        held.take(1)
        held.race()
        with meanwhile(held.session.stop):
            held.drain()
        self._taken(held)
        self._judge(held)

    @_step
    def close_run(self) -> None:
        """Close the generator of the run that is held, and judge the run."""
        held = self._release()
        if held is not None:
            held.close()
            self._taken(held)
            self._judge(held)

    @_step
    def stop(self) -> None:
        """Call `stop`."""
        self._stop(lambda session: session.stop())

    @_step
    def stop_from_thread(self) -> None:
        """Call `stop` in another thread, and wait until it returns."""

        def stop(session: Session) -> None:
            with meanwhile(session.stop):
                pass

        self._stop(stop)

    def _release(self) -> Held | None:
        held, self._held = self._held, None
        self.holds = self.endless = False
        return held

    def _stop(self, stop: Callable[[Session], None]) -> None:
        self.endless = False
        if self._session is None:
            return
        stop(self._session)
        if self._held is not None:
            self._held.stopped()
        self._look()

    def _taken(self, held: Held) -> None:
        """Note what a run says of the target."""
        if held.end in {"lost", "done"}:
            self._doubtful = False
        self._look()

    def _judge(self, held: Held) -> None:
        held.judge()
        if held.capabilities.deterministic and not held.may_be_lost:
            with self._subject.open() as other:
                held.compare(other)

    @_step
    def refuse(self, what: Refusal) -> None:
        """Call `run` with what the session refuses at once, with nothing sent."""
        require(not self.holds, "refuse() comes when no run is held")
        session = self._session
        if session is None:
            return
        for error, taskset, options in refused(what, session.capabilities, self._taskset):
            with self._subject.nothing_sent(session, "a run that is refused"):
                try:
                    session.run(taskset, **options)
                except error:
                    pass
                else:
                    name = error.__name__
                    raise AssertionError(f"run() refuses {taskset!r:.200} {options} with {name}; it raised nothing")
        self._look()

    # -- faults ----------------------------------------------------------------------------------------------------

    @_step
    def inject(self, fault: str) -> None:
        """Let something go wrong with the target."""
        faults = self._known_faults()
        faults.inject(fault)
        self.broken = True
        if fault not in faults.harmless:
            self._spoil()

    @_step
    def mend(self) -> None:
        """Take all faults away; the target is as if it were new, and its session may not know."""
        self._known_faults().mend()
        self._spoil()
        self.broken, self._sound, self._doubtful = False, True, True
        if self.connected and self._session is None:
            self._connect()

    def _known_faults(self) -> Faults:
        if self._faults is None:
            raise AssertionError("there are no faults: give them to the program")
        return self._faults

    def _spoil(self) -> None:
        self._sound = False
        if self._held is not None:
            self._held.spoil()

    # -- the end ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the run, close the session, mend the target, and look for what is left, unless a step has failed.

        Raises:
            AssertionError: a thread or a socket is left.
        """
        failed = self._failed
        try:
            self._do(self._close, "close")
        except Exception:
            if not failed:  # else that is the failure to talk about
                raise
        finally:
            if self._bounded is not None:
                self._bounded.close()
                self._bounded = None
        if not failed:
            with self._failing():
                self._before.check(self._patience_s)

    def _do(self, act: Callable[[], None], name: str) -> None:
        self._bounded = self._bounded or Bounded(self._patience_s)
        with self._failing():
            self._bounded(act, name)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if self.noted and not self._failed:
                error.add_note(self.script())
            self._failed = True
            raise

    def _close(self) -> None:
        held, self._held = self._held, None
        session, self._session = self._session, None
        try:
            if held is not None:
                held.events.close()
        finally:
            if session is not None:
                session.close()
            if self.broken and self._faults is not None:
                self._faults.mend()

    def script(self) -> str:
        """Return the steps so far as a Python file that takes them again."""
        return script_of(type(self), self._subject.opens, self._faults, self._steps)

    # -- looking ---------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Compare what the session says of itself with the model."""
        session, held = self._session, self._held
        if session is None:
            return
        goes_on = held is not None and not held.end
        require(session.active == goes_on, f"`active` is {goes_on} here, got {session.active}")
        if held is not None:
            held.look()
