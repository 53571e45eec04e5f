"""Hypothesis on targets that are slow, may fail, or only replay: which examples run, and what becomes of stored ones.

The key of a test in Hypothesis's database is its source, so what failed on the simulator is known on a board as well,
as long as the target is no parameter of the test. A stored example that passes is deleted by Hypothesis: rightly where
it was found, wrongly on another target. So what isn't the simulator reads the database and writes to another one.
"""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from hypothesis import settings
    from hypothesis.database import ExampleDatabase

#: Where `@given` keeps the settings of a test.
_SETTINGS: Final = "_hypothesis_internal_use_settings"
_REPLAY: Final = "taskgen-replay"
_BOARD: Final = "taskgen-board"


def load_replay_profile() -> None:
    """Make replaying the default, for what isn't a test with `@given`, such as state machines."""
    try:
        from hypothesis import settings
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        return
    settings.load_profile(_REPLAY)


def adapt(items: Iterable[pytest.Item], *, on_board: bool, replay: bool, budget: int | None, chosen: bool) -> None:
    """Change the settings of tests with `@given`.

    Args:
        items: the tests that use a target.
        on_board: examples take their time, and don't always take the same.
        replay: only stored examples run, and nothing that is stored changes.
        budget: executions per test.
        chosen: the user has chosen a profile, which then says how many examples there are, and whether they shrink.
    """
    if "hypothesis" not in sys.modules:
        return
    from hypothesis import settings

    done: set[int] = set()
    for item in items:
        function = _function(item)
        old = getattr(function, _SETTINGS, None)
        if isinstance(old, settings) and id(function) not in done:
            done.add(id(function))
            changes = _replaying(old) if replay else _bounded(old, on_board=on_board, budget=budget, chosen=chosen)
            if changes:
                setattr(function, _SETTINGS, settings(old, **changes))


def is_property(item: pytest.Item) -> bool:
    """Tell whether Hypothesis makes the examples of a test."""
    return hasattr(_function(item), _SETTINGS)


def _function(item: pytest.Item) -> object:
    test = getattr(item, "obj", None)
    return getattr(test, "__func__", test)


def _replaying(old: "settings") -> dict[str, Any]:
    from hypothesis import settings
    from hypothesis.database import ReadOnlyDatabase

    from taskgen.strategies.registration import PROFILES

    database = old.database or settings.get_profile("default").database
    return {
        **PROFILES[_REPLAY],
        "database": None if database is None else ReadOnlyDatabase(database),
        "deadline": None,
        "derandomize": False,  # it would rule the database out
    }


def _bounded(old: "settings", *, on_board: bool, budget: int | None, chosen: bool) -> dict[str, Any]:
    from hypothesis import HealthCheck

    from taskgen.strategies.registration import PROFILES

    unhealthy: set[HealthCheck] = set()
    changes: dict[str, Any] = {}
    if on_board:
        changes = {"deadline": None, "database": _divided(old.database)}
        unhealthy.add(HealthCheck.too_slow)
    if budget is not None:
        changes["max_examples"] = min(old.max_examples, budget)
        unhealthy.add(HealthCheck.filter_too_much)  # what is beyond the budget
    elif on_board and not chosen:
        profile = PROFILES[_BOARD]
        changes["max_examples"] = min(old.max_examples, profile["max_examples"])
        changes["phases"] = [phase for phase in old.phases if phase in profile["phases"]]
    if unhealthy:
        changes["suppress_health_check"] = {*old.suppress_health_check, *unhealthy}
    return changes


def _divided(database: "ExampleDatabase | None") -> "ExampleDatabase | None":
    """Return a database that knows all examples and forgets only those that were found on a board."""
    from hypothesis.database import DirectoryBasedExampleDatabase, MultiplexedDatabase, ReadOnlyDatabase

    from taskgen.strategies.registration import BOARD_EXAMPLES, PROFILES

    if database is None or any(database is profile.get("database") for profile in PROFILES.values()):
        return database  # there is none, or it is such a one
    return MultiplexedDatabase(DirectoryBasedExampleDatabase(BOARD_EXAMPLES), ReadOnlyDatabase(database))
