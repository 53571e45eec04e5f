"""A board in software whose session breaks a promise: importable, as scripts need it."""

from collections.abc import Generator

from hil.board.software import SoftwareBoard
from hil.session import TaskloaderSession
from taskgen.events import Event
from taskgen.session import Plan


class LeakySession(TaskloaderSession):
    """The last event of a run comes first in the next one."""

    left: Event | None = None

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        if self.left is not None:
            yield self.left
        for event in super().events(plan):
            self.left = event
            yield event


class LeakyBoard(SoftwareBoard):
    session = LeakySession
