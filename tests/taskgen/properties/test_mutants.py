"""Each law notices a scheduler or a life cycle that breaks it, and nothing where the same sets are run correctly."""

import pytest

from sim import SimSession
from taskgen.errors import InputError
from taskgen.session import Session
from taskgen.taskset import TaskSet
from taskgen.testing.properties import LAWS, Law, Scheduling, Violation
from taskgen.testing.runs import check
from tests.taskgen.properties.drawn import HORIZON_MS, sets
from tests.taskgen.properties.mutants import MUTANTS, Mutant

#: So many random sets are enough to expose each mutant.
EXAMPLES = 100

#: Laws that only boards can break; see test_boards.
OF_BOARDS = {"admission_respected", "kill_at_next_release"}


def violations(law: Law, session: Session, taskset: TaskSet, scheduling: Scheduling) -> tuple[Violation, ...]:
    (verdict,) = check(session, taskset, [law], scheduling=scheduling, horizon_ms=HORIZON_MS)
    return verdict.violations


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.law}-{mutant.name.replace(' ', '_')}")
def test_a_law_notices_its_mutant(mutant: Mutant) -> None:
    law, scheduling = LAWS[mutant.law], Scheduling.of(mutant.claims)
    for taskset in sets(0, EXAMPLES, mutant.kind, extras=mutant.extras, load=mutant.load):
        try:
            found = violations(law, mutant.broken(), taskset, scheduling)
        except InputError:
            continue  # the set fits on no core
        if found:
            assert violations(law, SimSession(**mutant.claims), taskset, scheduling) == ()
            assert all(violation.expected and violation.seen for violation in found)
            return
    pytest.fail(f"{mutant.law} doesn't notice {mutant.name} in {EXAMPLES} sets")


def test_each_law_has_a_mutant() -> None:
    assert {mutant.law for mutant in MUTANTS} == set(LAWS) - OF_BOARDS


def test_there_are_many_mutants() -> None:
    assert len({mutant.name for mutant in MUTANTS}) >= 40
