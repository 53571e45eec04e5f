"""The errors that taskgen raises, as a small tree that maps to exit codes.

A verdict (a missed deadline, a failed property) is a value, never an exception. Each error is one line that names
the field, the value, what was expected and where it came from; its `hint` proposes what to do next.
"""


class TaskgenError(Exception):
    """The root of the tree; `hint` is one line that proposes the next step, or empty."""

    exit_code = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(TaskgenError):
    """What the user gave can't be used: an unknown name, an option, a file, a configuration."""

    exit_code = 2


class InputError(UsageError, ValueError):
    """A description of tasks or task-sets is wrong; a ValueError, too."""


class Unsupported(UsageError):
    """The target can't do what the description or an option asks for."""


class SessionBusy(UsageError):
    """A session runs one task-set at a time, and one is active."""


class TargetError(TaskgenError):
    """No verdict: the target is at fault, not the scheduler under test."""

    exit_code = 75


class ConnectError(TargetError):
    """Nobody answers at the target's address."""


class TargetLost(TargetError):
    """The target was lost in the middle of a run."""
