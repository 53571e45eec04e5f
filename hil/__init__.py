"""Hardware in the loop: boards behind the taskloader protocol, over TCP, and boards in software.

`hil.TaskloaderSession` is the session, `hil.board` serves boards in software.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hil.ping import PingSession
    from hil.qemu import QemuSession
    from hil.session import TaskloaderSession

__all__ = ["PingSession", "QemuSession", "TaskloaderSession"]

_HOMES = {"PingSession": "hil.ping", "QemuSession": "hil.qemu", "TaskloaderSession": "hil.session"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
