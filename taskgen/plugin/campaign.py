"""What one pytest process knows: what the user chose, its target, and what runs there. All of it when it is needed."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from taskgen.plugin.choices import Choices, choices_of

if TYPE_CHECKING:
    from taskgen.plugin.bench import Bench
    from taskgen.plugin.pool import Leases
    from taskgen.plugin.runner import Runner
    from taskgen.session import Target

#: The fixtures and the markers by which a test says that it needs the target.
FIXTURES: Final = frozenset({"taskgen_target", "taskgen_session", "taskgen_run", "taskgen_artifacts"})
REQUIRES: Final = "taskgen_requires"
XFAIL_ON: Final = "taskgen_xfail_on"
#: Under which a worker finds what the controller gives it.
INPUT: Final = "taskgen"

_KEY: Final = pytest.StashKey["Campaign"]()


def campaign_of(config: pytest.Config) -> "Campaign":
    """Return the one of this pytest process."""
    if _KEY not in config.stash:
        config.stash[_KEY] = Campaign(config)
    return config.stash[_KEY]


def uses(item: pytest.Item) -> bool:
    """Tell whether a test needs the target."""
    marked = any(item.get_closest_marker(name) for name in (REQUIRES, XFAIL_ON))
    return marked or not FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


class Campaign:
    """The tests of one pytest process, on one target.

    Raises:
        pytest.UsageError: the target, or what is said about it, is wrong; whatever is asked for.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._given: dict[str, Any] | None = getattr(config, "workerinput", {}).get(INPUT)

    @cached_property
    def choices(self) -> Choices:
        """What the user chose."""
        return choices_of(self._config)

    @cached_property
    def leases(self) -> "Leases":
        """The boards of all workers; only where no controller has them."""
        from taskgen.plugin.pool import Leases, find, for_pytest

        with for_pytest():
            return Leases(find(self.choices))

    @cached_property
    def target(self) -> "Target":
        """The target of this process: what the controller leased it, or the first one."""
        from taskgen.plugin.pool import unpacked
        from taskgen.testing.stand import forget_connection

        if self._given is not None:
            return unpacked(self._given["target"])
        first, *others = self.leases.targets
        for target in others:
            forget_connection(target)
        return first

    @cached_property
    def bench(self) -> "Bench":
        """The target with its session."""
        from taskgen.plugin.bench import Bench

        return Bench(self.target)

    @cached_property
    def runner(self) -> "Runner":
        """What tests run task-sets with."""
        from taskgen.plugin.runner import Runner

        return Runner(self.bench, self.choices.budget)

    @property
    def header(self) -> str:
        """The line about all this at the head of pytest's output."""
        choices = self.choices
        parts = [f"target {choices.target}"]
        if "leases" in self.__dict__ and self.leases.exclusive:
            parts[0] += f" ({self.leases})"
        if choices.inventory is not None:
            parts.append(f"inventory {choices.inventory}")
        if choices.budget is not None:
            parts.append(f"at most {choices.budget} executions per test")
        if choices.replay:
            parts.append("stored counterexamples only")
        return f"taskgen: {', '.join(parts)}"

    def collected(self, items: Sequence[pytest.Item]) -> None:
        """Check the markers of tests, and prepare those that need the target."""
        users = [item for item in items if uses(item)]
        if not users:
            return
        from taskgen.boards import session_class
        from taskgen.plugin import examples, marks

        if self._given is None:  # from a worker, pytest-xdist doesn't take such an error: there it comes test by test
            marks.check(users)
        kind = session_class(self.target.session)
        examples.adapt(
            users,
            on_board=kind is None or not kind.capabilities.deterministic,
            replay=self.choices.replay,
            budget=self.choices.budget,
            chosen=bool(self._config.getoption("--hypothesis-profile", None)),
        )

    def concerns(self, item: pytest.Item) -> bool:
        """Tell whether a test needs the target, or may ask for it on its way, as another one did."""
        return uses(item) or "runner" in self.__dict__

    def begin(self, item: pytest.Item) -> None:
        """Begin with a test: skip it where it can't run."""
        __tracebackhide__ = True
        if self.concerns(item):
            self.runner.begin()
        if uses(item):
            from taskgen.plugin import examples, marks

            marks.check([item])
            if self.choices.replay and not examples.is_property(item):
                pytest.skip("taskgen: --taskgen-replay runs stored counterexamples only")
            marks.apply(item, self.bench, self.choices.target)

    def folder(self, nodeid: str) -> Path:
        """Return the folder for the files of a test."""
        from taskgen.plugin.artifacts import folder_of

        root = self.choices.artifacts if self._given is None else Path(self._given["artifacts"])
        return folder_of(root, nodeid)

    def lease(self, worker: str) -> dict[str, Any]:
        """Return what a worker is given: a board of its own, and where its files go."""
        from taskgen.plugin.pool import for_pytest, packed

        with for_pytest():
            target = self.leases.take(worker)
        return {"target": packed(target), "artifacts": str(self.choices.artifacts)}

    def close(self) -> None:
        """Close the session, if one was opened."""
        if "bench" in self.__dict__:
            self.bench.close()
