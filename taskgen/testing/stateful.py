"""Stateful testing of sessions: Hypothesis looks for a program that breaks a promise, and shrinks it.

    run_session_machine(MySession)                      # what opens a session: a class, a function, a taskgen.Target
    run_session_machine(board, faults=board)            # with what can go wrong, too

A program describes task-sets, starts, takes events, stops, closes, disconnects, connects and, where `faults` are given,
lets things go wrong and mends them; `taskgen.testing.program` says what each step promises. The smallest program that
breaks a promise is printed as a Python file: put it beside the tests, or run it until it does no harm any more.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, cast

import hypothesis
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from taskgen import strategies as ts
from taskgen.errors import UsageError
from taskgen.session import Capabilities, Session, Target
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.testing.model import FAR_MS
from taskgen.testing.program import Program
from taskgen.testing.subject import Faults, Refusal, Subject

__all__ = ["Description", "SessionMachine", "run_session_machine", "session_machine"]

#: Task-sets of ids from 0 and from here follow each other, so that an event of an earlier set belongs to no task.
_OTHER_IDS = 40
#: A horizon is at most so many of the longest periods away.
_PERIODS = 4
_MOST_EVENTS = 12


#: How a run may end: by itself if it does, stopped before its rest is taken or while it is, or by closing it.
Ending: TypeAlias = Literal["finish", "stop", "finish_stopped", "close"]
_ENDINGS: st.SearchStrategy[Ending] = st.sampled_from(("finish", "stop", "finish_stopped", "close"))


class Description(NamedTuple):
    """What is to run, and for how long; None: as long as the target takes for such a set."""

    taskset: TaskSet
    horizon_ms: int | None


def session_machine(
    open_session: Target | Callable[[], Session],
    *,
    faults: Faults | None = None,
    tasksets: st.SearchStrategy[TaskSet] | None = None,
    texts: st.SearchStrategy[str] | None = None,
    patience_s: float = 60.0,
) -> "type[SessionMachine]":
    """Return a state machine over sessions, a class: `session_machine(...).TestCase` is a unittest.

    Args:
        open_session: a target, or what opens a session when it is called; once now, to see its capabilities. If it has
            methods `probe()` and `sent(session)`, they are used (`taskgen.testing.subject.Probing`, `Counting`).
        faults: what can go wrong with the target.
        tasksets: concrete sets with ids below 40; None: small ones that the target can run.
        texts: faults to inject; None: those that `faults` names, harmless ones first.
        patience_s: how long a step may take before it counts as one that hangs.

    Raises:
        UsageError: there is nothing to inject `texts` with.
        What opening a session raises.
    """
    if texts is not None and faults is None:
        raise UsageError("session_machine: texts: there is nothing to inject them with", hint="give it faults, too")
    subject = Subject(open_session)
    capabilities = subject.capabilities()
    if faults is not None and texts is None:
        texts = st.sampled_from([*faults.harmless, *faults.harmful])
    members: dict[str, Any] = {
        "__doc__": SessionMachine.__doc__,
        "open_program": staticmethod(lambda: Program(open_session, faults=faults, patience_s=patience_s)),
        "descriptions": descriptions(capabilities, tasksets),
        "texts": st.nothing() if texts is None else texts,
        "has_faults": faults is not None,
        "has_probe": subject.probe() is not None,
        "refusals": st.sampled_from(_refusals(capabilities)),
    }
    return type("SessionMachine", (SessionMachine,), members)


def run_session_machine(
    open_session: Target | Callable[[], Session],
    *,
    faults: Faults | None = None,
    tasksets: st.SearchStrategy[TaskSet] | None = None,
    texts: st.SearchStrategy[str] | None = None,
    patience_s: float = 60.0,
    settings: hypothesis.settings | None = None,
) -> None:
    """Search for a program that breaks a promise, in a test; fixtures may have made what is given.

    Args:
        open_session: as in `session_machine`, like all that follows.
        faults: what can go wrong with the target.
        tasksets: concrete sets.
        texts: faults to inject.
        patience_s: how long a step may take.
        settings: of Hypothesis; None: those of the current profile. `stateful_step_count` bounds the steps.

    Raises:
        AssertionError: a promise is broken; its notes hold the smallest program that breaks it.
        What `session_machine` raises.
    """
    machine = session_machine(open_session, faults=faults, tasksets=tasksets, texts=texts, patience_s=patience_s)
    run_state_machine_as_test(machine, settings=_unhurried(settings))


def _unhurried(given: hypothesis.settings | None) -> hypothesis.settings:
    """Return the settings without what says nothing about a session: that its target is slow."""
    given = given or hypothesis.settings()
    slow = (HealthCheck.too_slow, HealthCheck.filter_too_much)
    return hypothesis.settings(given, deadline=None, suppress_health_check=(*given.suppress_health_check, *slow))


def descriptions(
    capabilities: Capabilities, tasksets: st.SearchStrategy[TaskSet] | None = None
) -> st.SearchStrategy[Description]:
    """What a target of these capabilities can run, in moderate time; shrinks towards one job without a horizon."""
    if tasksets is None:
        tasksets = st.one_of(
            ts.tasksets(n=3, max_period=10, max_jobs=3, capabilities=capabilities),
            ts.tasksets(n=3, max_period=10, capabilities=capabilities),
        )
    return _descriptions(tasksets, capabilities.deterministic)


@st.composite
def _descriptions(draw: st.DrawFn, tasksets: st.SearchStrategy[TaskSet], deterministic: bool) -> Description:
    taskset = draw(tasksets)
    if draw(st.booleans()):
        taskset = TaskSet([Task({**task, "id": task["id"] + _OTHER_IDS}) for task in taskset])
    limited = all(task.get("numberofjobs") or not task.get("period") for task in taskset)
    longest_ms = max(1, *(math.ceil(task.get("period", 0)) for task in taskset))
    horizons: list[st.SearchStrategy[int | None]] = [st.integers(1, _PERIODS * longest_ms)]
    if limited:
        horizons.insert(0, st.none())
    elif deterministic:  # a board would compute all that time
        horizons.append(st.just(FAR_MS))
    return Description(taskset, draw(st.one_of(horizons)))


def _refusals(capabilities: Capabilities) -> list[Refusal]:
    honours = capabilities.offsets and capabilities.sporadic and capabilities.kill
    known: list[Refusal] = ["choices", "value", "empty"]
    known += [] if honours else ["capability"]
    return [*known, *([] if capabilities.admission else ["admission"])]  # type: ignore[list-item]  # they are


def _drawn(name: str) -> st.SearchStrategy[Any]:
    """Return what the machine that runs draws from: strategies depend on its target."""
    return st.runner().flatmap(lambda machine: getattr(machine, name))


def _when(condition: Callable[[Program], bool]) -> Callable[[Any], Any]:
    """Let a rule apply only where the program so far says so, never what a target has answered: that may vary."""
    return precondition(lambda machine: condition(cast("SessionMachine", machine).program))


class SessionMachine(RuleBasedStateMachine):
    """Programs of a session as Hypothesis draws them: each rule is a step of `taskgen.testing.program.Program`."""

    open_program: ClassVar[Callable[[], Program]]
    descriptions: ClassVar[st.SearchStrategy[Description]]
    texts: ClassVar[st.SearchStrategy[str]]
    refusals: ClassVar[st.SearchStrategy[Refusal]]
    has_faults: ClassVar[bool] = False
    has_probe: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.program = type(self).open_program()
        self.program.noted = True

    @initialize()
    def begin(self) -> None:
        """Each program begins with a connection."""
        self.program.connect()

    @rule(description=_drawn("descriptions"), again=st.booleans(), count=st.integers(0, _MOST_EVENTS), ending=_ENDINGS)
    @_when(lambda program: not program.holds)
    def run(self, description: Description, again: bool, count: int, ending: Ending) -> None:
        """Run something, or what was described last again, and let it end somehow."""
        self._start(description, again)
        if count:
            self.program.take(count)
        self._end(ending)

    @rule(description=_drawn("descriptions"), again=st.booleans())
    @_when(lambda program: not program.holds)
    def start(self, description: Description, again: bool) -> None:
        """Begin to run something."""
        self._start(description, again)

    def _start(self, description: Description, again: bool) -> None:
        if not (again and self.program.described):
            self._describe(description)
        self.program.start()

    @rule(count=st.integers(1, _MOST_EVENTS))
    @_when(lambda program: program.holds)
    def take(self, count: int) -> None:
        """Take some events."""
        self.program.take(count)

    @rule(ending=_ENDINGS)
    @_when(lambda program: program.holds)
    def end(self, ending: Ending) -> None:
        """Let a run end."""
        self._end(ending)

    def _end(self, ending: Ending) -> None:
        if ending == "stop" or (ending == "finish" and self.program.endless):
            self.program.stop()
        {"finish_stopped": self.program.finish_stopped, "close": self.program.close_run}.get(
            ending, self.program.finish
        )()

    @rule(description=_drawn("descriptions"))
    @_when(lambda program: program.holds)
    def describe(self, description: Description) -> None:
        """Choose what runs next while something else does."""
        self._describe(description)

    def _describe(self, description: Description) -> None:
        if description.horizon_ms is None:
            self.program.describe(description.taskset)
        else:
            self.program.describe(description.taskset, horizon_ms=description.horizon_ms)

    @rule(elsewhere=st.booleans())
    def stop(self, elsewhere: bool) -> None:
        """Stop, also when nothing runs, and again; in another thread or in this one."""
        if elsewhere:
            self.program.stop_from_thread()
        else:
            self.program.stop()

    @rule()
    @_when(lambda program: program.holds)
    def start_second(self) -> None:
        """Begin a second run."""
        self.program.start_second()

    @rule(what=_drawn("refusals"))
    @_when(lambda program: program.described and not program.holds)
    def refuse(self, what: Refusal) -> None:
        """Begin a run that is refused."""
        self.program.refuse(what)

    @rule()
    def reconnect(self) -> None:
        """Close the session, also while it runs something, and open another."""
        self.program.disconnect()
        self.program.connect()

    @rule()
    @precondition(lambda machine: machine.has_probe)
    def probe(self) -> None:
        """Ask whether the target is there."""
        self.program.probe()

    @rule(text=_drawn("texts"))
    @precondition(lambda machine: machine.has_faults)
    def inject(self, text: str) -> None:
        """Let something go wrong."""
        self.program.inject(text)

    @rule()
    @_when(lambda program: program.broken)
    def mend(self) -> None:
        """Let nothing go wrong any more."""
        self.program.mend()

    def teardown(self) -> None:
        """End the program."""
        self.program.close()
