"""The testing kit for those who build on taskgen: names are resolved when they are first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskgen.testing.conformance import check_session

_PLACES = {"check_session": "taskgen.testing.conformance"}

__all__ = ["check_session"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
