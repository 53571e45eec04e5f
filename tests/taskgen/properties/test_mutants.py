"""Each law notices a scheduler or a life cycle that breaks it, and nothing where the same set is run correctly."""

import pytest
from hypothesis import Phase, find, settings

from sim import SimSession
from taskgen.errors import InputError
from taskgen.session import Session
from taskgen.taskset import TaskSet
from taskgen.testing.properties import LAWS, Law, Scheduling, Violation
from taskgen.testing.runs import check
from tests.taskgen.properties.drawn import HORIZON_MS, sets
from tests.taskgen.properties.mutants import MUTANTS, Mutant

#: So many sets are enough to expose each mutant.
SEARCH = settings(max_examples=200, phases=[Phase.generate], derandomize=True, database=None, deadline=None)

#: Laws that only boards can break; see test_boards.
OF_BOARDS = {"admission_respected", "kill_at_next_release"}


def violations(law: Law, session: Session, taskset: TaskSet, scheduling: Scheduling) -> tuple[Violation, ...]:
    try:
        (verdict,) = check(session, taskset, [law], scheduling=scheduling, horizon_ms=HORIZON_MS)
    except InputError:
        return ()  # the set fits on no core
    return verdict.violations


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.law}-{mutant.name.replace(' ', '_')}")
def test_a_law_notices_its_mutant(mutant: Mutant) -> None:
    law, scheduling = LAWS[mutant.law], Scheduling.of(mutant.claims)
    taskset = find(
        sets(mutant.kind, mutant.load, **mutant.extras),
        lambda taskset: bool(violations(law, mutant.broken(), taskset, scheduling)),
        settings=SEARCH,
    )
    found = violations(law, mutant.broken(), taskset, scheduling)
    assert all(violation.expected and violation.seen for violation in found)
    assert violations(law, SimSession(**mutant.claims), taskset, scheduling) == ()


def test_each_law_has_a_mutant() -> None:
    assert {mutant.law for mutant in MUTANTS} == set(LAWS) - OF_BOARDS


def test_there_are_many_mutants() -> None:
    assert len({mutant.name for mutant in MUTANTS}) >= 40
