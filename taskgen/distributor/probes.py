"""Ways to find out whether a target is there, from cheap to thorough; the inventory names one per target.

`connect`, the default, is the session's own `probe`: a board that hangs may accept a connection all the same.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeAlias

from taskgen import registry
from taskgen.blocks import hey, period, priority
from taskgen.errors import UsageError
from taskgen.events import EventType
from taskgen.power import place_of
from taskgen.session import Session, Target
from taskgen.taskset import BlockTaskSet

#: Registers a session while it runs something, so that it can be stopped.
Registered: TypeAlias = Callable[[Session], AbstractContextManager[object]]


class Answer(NamedTuple):
    """What a thorough probe found out."""

    good: bool  #: the target may have variants
    figures: Mapping[str, Any] | None = None  #: what was measured, for the records; None: nothing was
    reason: str = ""  #: what is bad

    def __bool__(self) -> bool:
        return self.good


Probe: TypeAlias = Callable[[type[Session], Target, Registered], bool | Answer]

#: States that a session's `inspect` may report of a target that isn't to be used.
_ABSENT = frozenset({"absent", "silent", "mute"})


def ping(kind: type[Session], target: Target, registered: Registered) -> bool:  # noqa: ARG001  # one of several probes
    """Tell whether the host answers an ICMP echo request, as the session `ping` asks for it."""
    found = registry.load("sessions", "ping")
    return bool(found.probe(Target("ping", place_of(target).host)))


def connect(kind: type[Session], target: Target, registered: Registered) -> bool:  # noqa: ARG001  # one of several
    """Tell whether the session's own probe finds it."""
    return bool(kind.probe(target))


def handshake(kind: type[Session], target: Target, registered: Registered) -> bool:
    """Tell whether it speaks the session's protocol; where the session can't tell, whether `connect` finds it."""
    inspect = getattr(kind, "inspect", None)
    if inspect is None:
        return connect(kind, target, registered)
    return inspect(target).get("state") not in _ABSENT


def canary(kind: type[Session], target: Target, registered: Registered) -> Answer:
    """Tell what the canary says, see `taskgen.bench.canary`; without its program, whether a job of `hey` ends."""
    with kind.open(target) as session:
        return listen(session, target, registered)


def listen(session: Session, target: Target, registered: Registered) -> Answer:
    """Do the same on an open session; without that program, too, an open session is all that there is to ask for."""
    from taskgen.bench.canary import listen as hear

    try:
        song = hear(session, target, registered=registered)
    except UsageError:  # it has no such program
        return Answer(_greets(session, registered))
    return Answer(song.good, song.document(), "; ".join(song.why))


def _greets(session: Session, registered: Registered) -> bool:
    taskset = BlockTaskSet(hey.HelloWorld, period.Value(1000), priority.Value(10), {"numberofjobs": 1})
    try:
        events = session.run(taskset)
    except UsageError:  # nor this one: nobody is to blame, and it is there
        return True
    try:
        with registered(session):
            return any(event.type is EventType.EXIT for event in events)
    finally:
        events.close()


PROBES: Mapping[str, Probe] = {"ping": ping, "connect": connect, "handshake": handshake, "canary": canary}
