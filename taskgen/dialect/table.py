"""The dialects by name: our own, that of the first announcement, and one per board generation."""

from collections.abc import Mapping

from taskgen.dialect.boards import BOARDS, ENDLESS, BoardRow, no_such
from taskgen.dialect.translation import Dialect
from taskgen.units import NS_PER_MS


def _dialect(row: BoardRow) -> Dialect:
    """Return how files for boards of this generation are written."""
    not_read = {
        "deadline": row.edf == "none",
        "numberofjobs": row.jobs_limit == "none",
        "offset": row.offsets == "ignored",
    }
    return Dialect(
        row.name,
        row.about,
        units={} if row.deadline_unit_ns == NS_PER_MS else {"deadline": -3},
        levels=row.levels,
        beyond=row.beyond,
        edf_priority=row.edf_raw,
        edf_only=row.edf == "lowest",
        ignored=tuple(key for key, holds in not_read.items() if holds),
        endless=ENDLESS if row.jobs_limit == "limit" else None,
        late=row.jobs_limit == "odd",
        single=row.single,
        board=True,
    )


#: The dialects by name.
DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Dialect("now", "milliseconds, priority 0 most urgent .. 127 (the default)", renumbers=False),
        Dialect(
            "announced",
            "the first announcement of taskgen: period in seconds, deadline in microseconds",
            units={"period": 3, "deadline": -3},
        ),
        *map(_dialect, BOARDS.values()),
    )
}


def names() -> tuple[str, ...]:
    """Return the names of all dialects."""
    return tuple(DIALECTS)


def get(name: str | None) -> Dialect:
    """Return a dialect by name; None is `now`.

    Raises:
        UsageError: there is none of that name; the hint has the nearest names.
    """
    found = DIALECTS.get("now" if name is None else name)
    if found is None:
        raise no_such("dialect", name, DIALECTS)
    return found
