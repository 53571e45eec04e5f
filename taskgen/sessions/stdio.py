"""The smallest session: it shows each description instead of running it."""

import sys
from collections.abc import Generator
from typing import Self, TextIO

from taskgen.events import Event
from taskgen.session import Capabilities, Plan, Session, Target


class StdIOSession(Session):
    """Prints each task-set as a line of JSON, to `file` or stdout, and yields no events.

    It takes any address, so that it can stand in for the session of a board while one looks for a mistake.
    """

    capabilities = Capabilities(deterministic=True, executes=False, admission=True, sporadic=True)

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file

    @classmethod
    def open(cls, target: Target) -> Self:
        """Open the session; there is nothing to connect to."""
        return cls.construct(target.options)

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        """Print the task-set of the plan; there are no events."""
        from taskgen import document

        file = sys.stdout if self._file is None else self._file
        if not plan.stopped():
            file.write(f"{document.to_json(plan.taskset)}\n")  # one call: several targets may share the file
            file.flush()
        yield from ()
