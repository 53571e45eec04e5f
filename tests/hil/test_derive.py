"""START and EXIT from thread lists (wire-protocol 4.1), and what they can't tell."""

from hil.chronicle import Chronicle
from hil.derive import Derivation
from hil.documents.live import Live, Row
from hil.documents.profile import Stamped
from taskgen.dialect.boards import BOARDS
from taskgen.events import Event, EventType
from taskgen.parameters import parameters_of
from taskgen.testing.event_laws import Observed, check_events
from tests.hil.scripted import one_job

START, EXIT = EventType.START, EventType.EXIT
SERVICE = Row("init -> taskloader", "01.hey", 3, 900)


def child(foc_id: int, arrival_ms: int, exit_ms: int | None = None, thread: str = "01.hey") -> Row:
    return Row("init -> taskloader -> 01.hey", thread, foc_id, arrival_ms, exit_time=exit_ms or 0)


def lists(*rows: Row) -> Live:
    return Live((*rows, SERVICE), ())


def derivation(before: Live | None = None, **attributes: int) -> Derivation:
    return Derivation(parameters_of(one_job(**attributes)), BOARDS["G1"], before)


def test_start_is_the_arrival_plus_the_creation_and_exit_the_soft_exit() -> None:
    derived = derivation()
    assert derived.read(lists()) == []
    assert derived.read(lists(child(4, 1000))) == [Stamped(START, 1, 1026)]
    assert derived.read(lists(child(4, 1000))) == []
    assert derived.read(lists(child(4, 1000, 1069))) == [Stamped(EXIT, 1, 1069)]
    assert derived.read(lists(child(4, 1000, 1069))) == []
    assert derived.read(lists()) == []
    assert derived.gone == []


def test_a_job_that_was_born_and_ended_between_two_samples_has_both_events() -> None:
    assert derivation().read(lists(child(4, 1000, 1069))) == [Stamped(START, 1, 1026), Stamped(EXIT, 1, 1069)]


def test_a_job_that_is_destroyed_unseen_ends_without_an_event() -> None:
    derived = derivation()
    derived.read(lists(child(4, 1000)))
    assert derived.read(lists()) == []
    assert derived.gone == [1]


def test_a_job_that_may_have_been_killed_ends_without_an_event() -> None:
    derived = derivation(criticaltime=60)
    assert derived.read(lists(child(4, 1000, 1060))) == [Stamped(START, 1, 1026)]
    assert derived.gone == [1]


def test_helpers_and_threads_of_earlier_sets_are_no_jobs() -> None:
    derived = derivation(lists(child(4, 500)))
    assert derived.read(lists(child(4, 500), child(6, 1000, thread="ep"))) == []


def test_jobs_follow_one_another() -> None:
    derived = derivation()
    derived.read(lists(child(4, 1000)))
    assert derived.read(lists(child(5, 1500))) == [Stamped(START, 1, 1526)]
    assert derived.read(lists(child(5, 1500), child(4, 1000, 1100))) == []  # ids ascend: it's an old one


def test_stamps_turn_over() -> None:
    assert derivation().read(lists(child(4, 4_294_950))) == [Stamped(START, 1, 8)]


def test_a_job_without_an_end_has_no_outcome() -> None:
    tasks = parameters_of(one_job())
    chronicle = Chronicle(tasks, BOARDS["G1"], 10**12)
    derived = derivation()
    events: list[Event] = []
    for sample in (lists(child(4, 1000)), lists()):
        events += chronicle.feed(derived.read(sample), 0)
        for task_id in derived.gone:
            chronicle.lose(task_id)
    events += chronicle.finish()
    assert [event.type for event in events] == [START]
    assert chronicle.over
    from hil.session import capabilities_of
    from taskgen.trace import Trace

    trace = Trace(tasks, capabilities=capabilities_of(BOARDS["G1"], 2, 1))
    trace.extend(events)
    assert [job.outcome for job in trace.jobs] == [None]
    check_events(Observed(events, tasks, trace.capabilities, overheads=False, whole=False))
