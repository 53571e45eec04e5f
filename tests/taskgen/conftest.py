"""Fixtures of several test files."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgen import Session
from taskgen.distributor import Distributor
from taskgen.store import ResultStore, open_store
from tests.taskgen.scripted import Recorder, Script, one_job, session_of, targets
from tests.taskgen.stored import ASKED, Open


@pytest.fixture
def make() -> Iterator[Callable[..., Distributor]]:
    made: list[Distributor] = []

    def distributor(
        script: Script = one_job, *addresses: str, kind: type[Session] | None = None, **options: Any
    ) -> Any:
        options = {"backoff_s": 0.001, "max_backoff_s": 0.002, **options}
        made.append(Distributor(targets(*addresses or ("a",)), session=kind or session_of(script), **options))
        made[-1].monitor = Recorder()
        return made[-1]

    yield distributor
    for each in made:
        each.close(1.0)


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def store(store_path: Path) -> Iterator[Open]:
    """Return a function that opens the store at `store_path`, and closes the one that it opened before."""
    opened: list[ResultStore] = []

    def again(asked: dict[str, Any] | None = None, *, resume: bool = True) -> ResultStore:
        for each in opened:
            each.close()
        opened.append(open_store(f"sqlite:///{store_path}", asked or ASKED, resume=resume))
        return opened[-1]

    yield again
    for each in opened:
        each.close()
