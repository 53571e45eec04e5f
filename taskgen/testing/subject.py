"""What programs are about: how to open a session, what can go wrong with its target, and what it must refuse."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, Protocol, TypeAlias, runtime_checkable

from taskgen import registry
from taskgen.errors import InputError, Unsupported
from taskgen.session import Capabilities, Session, Target
from taskgen.taskset import TaskSet
from taskgen.testing.event_laws import require
from taskgen.testing.properties.law import Tolerance

#: What no session runs: a set with choices, with a wrong value, without tasks; what this one can't honour.
Refusal: TypeAlias = Literal["choices", "value", "empty", "capability", "admission"]

#: Attributes that need a capability, with a value for which it is needed.
_WANTS: Final = {"offsets": ("offset", 1), "sporadic": ("jitter", 1), "kill": ("criticaltime", 1)}


class Faults(Protocol):
    """What can go wrong with a target on request; for boards in software it is `hil.board.software.SoftwareBoard`."""

    @property
    def harmless(self) -> Sequence[str]:
        """Faults that a session isn't to notice: runs are what they always are."""

    @property
    def harmful(self) -> Sequence[str]:
        """Faults after which runs may be lost."""

    def inject(self, fault: str) -> None:
        """Let something go wrong, now or when the fault says."""

    def mend(self) -> None:
        """Take all faults away; when it returns, the target is as if it were new."""


@runtime_checkable
class Probing(Protocol):
    """What opens sessions and can tell, too, whether anybody is there."""

    def probe(self) -> bool:
        """Tell whether anybody is there; never raises."""


@runtime_checkable
class Counting(Protocol):
    """What opens sessions and knows, too, how much they have sent."""

    def sent(self, session: Any) -> int:
        """Return how much a session has sent so far."""


@runtime_checkable
class Forgetful(Protocol):
    """What opens sessions and knows, too, whether a job may vanish without an event, as on boards of G3a."""

    @property
    def ends_untold(self) -> bool:
        """Whether it may."""


class Subject:
    """What opens sessions, with all that it may know beside that.

    Args:
        opens: a target, or what opens a session of it when it is called.
    """

    def __init__(self, opens: Target | Callable[[], Session]) -> None:
        self.opens = opens

    def open(self) -> Session:
        """Open a session."""
        opens = self.opens
        session = _kind(opens).open(opens) if isinstance(opens, Target) else opens()
        require(isinstance(session, Session), f"a session derives from taskgen.Session, got {session!r:.80}")
        return session

    def capabilities(self) -> Capabilities:
        """Open a session, close it, and return its capabilities."""
        with self.open() as session:
            return session.capabilities

    def probe(self) -> bool | None:
        """Ask whether anybody is there; None: it can't be asked."""
        opens = self.opens
        if isinstance(opens, Target):
            found = _kind(opens).probe(opens)
        elif isinstance(opens, Probing) and not isinstance(opens, type):  # sessions ask about a target
            found = opens.probe()
        else:
            return None
        require(isinstance(found, bool), f"probe() says True or False, got {found!r:.40}")
        return found

    @property
    def ends_untold(self) -> bool:
        """Whether a job may vanish without an event though the target tells of the others."""
        opens = self.opens
        if isinstance(opens, Target):
            return Tolerance.of({"profile": opens.address, **opens.options}).ends_untold
        return isinstance(opens, Forgetful) and opens.ends_untold

    @contextmanager
    def nothing_sent(self, session: Session | None, what: str) -> Iterator[None]:
        """Hold that a session sends nothing meanwhile, where somebody counts."""
        count = self.opens.sent if isinstance(self.opens, Counting) else _uncounted
        before = count(session)
        yield
        sent = count(session) - before
        require(not sent, f"{what} sends nothing, it sent {sent} bytes")


def _kind(target: Target) -> type[Session]:
    kind: type[Session] = registry.load("sessions", target.session)
    return kind


def _uncounted(_: object) -> int:
    return 0


def refused(
    what: Refusal, capabilities: Capabilities, taskset: TaskSet
) -> Iterator[tuple[type[Exception], TaskSet, dict[str, Any]]]:
    """Yield what a session is to refuse: with which error, the set, and the options of `run`.

    Args:
        what: the reason.
        capabilities: of the session.
        taskset: one that it can run.
    """
    task = dict(taskset[0])
    match what:
        case "choices":
            yield Unsupported, TaskSet([{**task, "period": [task.get("period", 0), 20]}]), {}
        case "value":
            yield InputError, TaskSet([{**task, "period": -1}]), {}
        case "empty":
            yield InputError, TaskSet(), {}
        case "capability":
            for capability, (key, value) in _WANTS.items():
                if not getattr(capabilities, capability):
                    yield Unsupported, TaskSet([{**task, key: value}]), {}
        case "admission":
            if not capabilities.admission:
                yield Unsupported, taskset, {"admission": {"optimize": {}}}
