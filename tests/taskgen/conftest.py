"""Fixtures of several test files."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskgen import Session
from taskgen.distributor import Distributor
from tests.taskgen.scripted import Recorder, Script, one_job, session_of, targets


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
