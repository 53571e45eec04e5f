"""A board generation as the profile of a session: what it can do, and what it can't express."""

from collections.abc import Sequence

from sim.boards.generation import Generation
from sim.execution import Work
from taskgen.dialect import describe_all
from taskgen.horizon import DEFAULT_RUN_NS
from taskgen.parameters import Parameters
from taskgen.session import Capabilities
from taskgen.units import NS_PER_MS


def board_capabilities(row: Generation, cores: int) -> Capabilities:
    """Return what a session with this profile can do."""
    return Capabilities(
        deterministic=True,
        cores=cores,
        policies=frozenset({"fp"} if row.board.edf == "none" else {"fp", "edf", "mixed"}),
        admission=row.optimiser != "none",
        offsets=row.offsets != "ignored",
        job_limits=row.jobs_limit == "limit",
        time_resolution_ns=NS_PER_MS,
        job_numbers="starts",
        max_run_ns=DEFAULT_RUN_NS,
    )


def refuse_inexpressible(tasks: Sequence[Parameters], row: Generation) -> None:
    """Refuse what the descriptions of a generation have no words for.

    Raises:
        Unsupported: names the task and the attribute.
    """
    describe_all(tasks, row.board)


def job_work(work: Work, job: int) -> int:
    """Return the execution time of a job."""
    return work if isinstance(work, int) else work(job)
