"""A store keeps the results of one run of many variants, and outlives the driver: what a SIGKILL cut off goes on.

>>> from taskgen.distributor import Distributor
>>> from taskgen.store import open_store
>>> from taskgen.tasksets.example import Hey6TaskSet
>>> asked = {"taskset": "example.Hey6TaskSet"}
>>> with open_store("sqlite:///sweep.db", asked, resume=True) as store, Distributor("sim") as distributor:
...     distributor.start(Hey6TaskSet(), ledger=store)
...     store.tally().finished
128
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskgen.errors import UsageError
from taskgen.store.sqlite import ResultStore, Tally

_SCHEME = "sqlite:///"
_HINT = "give sqlite:///FILE (relative to here), or sqlite:////FOLDER/FILE"


def open_store(url: str, asked: Mapping[str, Any], *, resume: bool = False) -> ResultStore:
    """Open the store of a run, or begin one where there is none.

    Args:
        url: `sqlite:///FILE`; a path that begins with a slash has four of them.
        asked: what identifies the run, plain data of JSON by name: the task-set, the options, the seed.
        resume: go on with what the store has of this run.

    Raises:
        UsageError: the URL isn't supported; the file can't be written, is no store, is damaged, newer than this
            taskgen or in use; it has another run; or it has this run, and `resume` wasn't given.
    """
    return ResultStore(path_of(url), asked, resume=resume)


def path_of(url: str) -> Path:
    """Return the file that a URL of a store names.

    Raises:
        UsageError: the URL isn't supported.
    """
    scheme, colon, _ = url.partition("://")
    if not url.startswith(_SCHEME):
        if colon and scheme != "sqlite":
            raise UsageError(f"store {url!r}: {scheme} is not supported, expected sqlite", hint=_HINT)
        raise UsageError(f"store {url!r}: is no URL of a store, expected sqlite:///FILE", hint=_HINT)
    name = url.removeprefix(_SCHEME)
    if not name or name == ":memory:" or "\0" in name:
        raise UsageError(f"store {url!r}: names no file", hint=_HINT)
    return Path(name)


__all__ = ["ResultStore", "Tally", "open_store", "path_of"]
