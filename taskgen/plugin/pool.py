"""The boards that a pytest run may use, and which of its workers has which: one worker per board."""

import pickle
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase

import pytest

from taskgen import addresses, inventory, targets
from taskgen.addresses import Spans
from taskgen.boards import BoardTarget
from taskgen.errors import TaskgenError, UsageError
from taskgen.plugin.choices import Choices
from taskgen.session import Target
from taskgen.testing.stand import address_of, equipped, forget_connection, is_board

#: So many boards are named in a message.
_SHOWN = 5


@contextmanager
def for_pytest() -> Iterator[None]:
    """Let pytest tell errors of configuration as its own: one line, the hint, and exit code 4."""
    try:
        yield
    except TaskgenError as error:
        raise pytest.UsageError(f"taskgen: {error}" + (f"\nhint: {error.hint}" if error.hint else "")) from error


def find(choices: Choices) -> list[Target]:
    """Return the targets that the user chose: the boards of a pool that match, or the one that anybody can share.

    Raises:
        UsageError: there is no such target, or none of its boards matches.
        ConnectError: nobody is there, of a range.
    """
    known = None if choices.inventory is None else inventory.load(choices.inventory)
    found = [equipped(target, choices.binaries) for target in targets.expand(choices.target, known=known)]
    if not choices.patterns:
        return found
    chosen = [target for target in found if any(_matches(target, pattern) for pattern in choices.patterns)]
    for target in found:
        if target not in chosen:
            forget_connection(target)
    if not chosen:
        raise UsageError(
            f"--taskgen-board {' '.join(choices.patterns)}: none of the boards of {choices.target} matches",
            hint=f"they are {shown(found)}",
        )
    return chosen


def shown(found: Sequence[Target]) -> str:
    """Return the addresses of targets for a message."""
    texts = [target.address or str(target) for target in found[:_SHOWN]]
    return ", ".join(texts) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")


def _matches(target: Target, pattern: str) -> bool:
    address = address_of(target)
    if address is None:
        return fnmatchcase(target.address, pattern)
    if any(fnmatchcase(text, pattern) for text in (address.host, str(address))):
        return True
    try:
        return address in Spans([addresses.parse(pattern)])
    except UsageError:  # it is no range
        return False


class Leases:
    """Which worker has which board. Boards are free in the order in which they were given back, others first."""

    def __init__(self, found: Iterable[Target]) -> None:
        self.targets = tuple(found)
        self._free = deque(self.targets)
        self._taken: dict[str, Target] = {}

    def __str__(self) -> str:
        return shown(self.targets)

    @property
    def exclusive(self) -> bool:
        """Whether each worker needs a board of its own."""
        return any(map(is_board, self.targets))

    def check(self, workers: int) -> None:
        """Refuse more workers than boards.

        Raises:
            UsageError: there aren't that many.
        """
        if self.exclusive and workers > len(self.targets):
            raise UsageError(
                f"{workers} workers want a board each, but there are {len(self.targets)}: {shown(self.targets)}",
                hint=f"use -n auto, or -n {len(self.targets)}",
            )

    def take(self, worker: str) -> Target:
        """Lease a board to a worker, by its id; what isn't exclusive everybody gets.

        Raises:
            UsageError: none is free.
        """
        if not self.exclusive:
            return self.targets[0]
        if worker not in self._taken:
            if not self._free:
                raise UsageError(f"worker {worker}: no board is free of {shown(self.targets)}")
            self._taken[worker] = self._free.popleft()
        return self._taken[worker]

    def give_back(self, worker: str) -> None:
        """End the lease of a worker that is gone; a worker without one is none."""
        target = self._taken.pop(worker, None)
        if target is not None:
            self._free.append(target)


def packed(target: Target) -> bytes:
    """Return a target as bytes for a worker; an open connection stays behind, closed."""
    forget_connection(target)
    return pickle.dumps(replace(target, connection=None) if isinstance(target, BoardTarget) else target)


def unpacked(data: bytes) -> Target:
    """Return what `packed` packed."""
    target = pickle.loads(data)  # noqa: S301  # from the process that started this one
    assert isinstance(target, Target)  # noqa: S101  # `packed` packs nothing else
    return target
