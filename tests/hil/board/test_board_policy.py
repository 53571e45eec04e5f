"""A board in software that carries a user's scheduler, seen through the socket."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hil.board import serve
from hil.board.options import BoardOptions
from hil.session import TaskloaderSession
from sim import SimSession
from taskgen import TaskSet
from taskgen.errors import TargetLost, UsageError
from taskgen.events import EventType
from taskgen.session import Session, Target
from tests.hil.board.serving import serving

OWN = '''
from sim.policy import JobFixedPriority, Policy


class Inverted(JobFixedPriority):
    """The largest number is the most urgent, be it a priority or a deadline."""

    def priorities(self, tasks):
        return {task.id: -(task.deadline_ns or task.priority) for task in tasks}


class Failing(Policy):
    def rank(self, job, now_ns):
        return 1 // (job.id - 1)


class Nothing(Policy):
    pass
'''
#: Of both the first is the more urgent, and takes longer.
TASKS = [
    {"pkg": "hey", "executiontime": 100, "period": 2000, "numberofjobs": 1, "priority": 10},
    {"pkg": "hey", "executiontime": 60, "period": 3000, "numberofjobs": 1, "priority": 20},
]
#: Boards of G3 refuse most sets with priorities, EDF tasks never (wire-protocol 5.1).
BY_DEADLINE = [
    {key: value for key, value in (task | {"deadline": task["period"]}).items() if key != "priority"} for task in TASKS
]
HORIZON_MS = 1500


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own_scheduler.py"
    path.write_text(OWN, encoding="utf-8")
    return path


def order(session: Session, tasks: list[dict[str, Any]]) -> list[int | None]:
    """Return the tasks in the order in which their jobs exit."""
    with session:
        events = session.run(TaskSet([dict(task) for task in tasks]), horizon_ms=HORIZON_MS)
        return [event.task_id for event in events if event.type is EventType.EXIT]


def opened(address: object, generation: str, **options: Any) -> TaskloaderSession:
    given = {"dialect": generation, "binaries": "none", "quiet_ms": 20, "poll_ms": 20, **options}
    return TaskloaderSession.open(Target("taskloader", str(address), given))


@pytest.mark.parametrize(
    ("generation", "tasks", "correct"),
    [("G1p", BY_DEADLINE, "edf"), ("G3a", BY_DEADLINE, "edf"), ("G3b", BY_DEADLINE, "edf"), ("G4", TASKS, "fp")],
)
def test_an_inverted_policy_shows_through_the_socket(
    own: Path, generation: str, tasks: list[dict[str, Any]], correct: str
) -> None:
    seen = []
    for policy in (None, correct, f"{own}:Inverted"):
        with serving(generation=generation, policy=policy) as server:
            seen.append(order(opened(server.stations[0].address, generation), tasks))
    assert seen == [[0, 1], [0, 1], [1, 0]]
    assert order(SimSession(profile=generation), tasks) == [0, 1]


def test_a_process_of_its_own_loads_the_same_file(own: Path) -> None:
    with serve(generation="G4", policy=f"{own}:Inverted") as boards:
        assert order(TaskloaderSession.open(boards.targets[0]), TASKS) == [1, 0]


def test_a_policy_that_fails_hangs_its_board_and_says_so(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(generation="G4", policy=f"{own}:Failing", count=2) as server:
        with (
            opened(server.stations[0].address, "G4", reply_ms=300, silence_ms=300) as session,
            pytest.raises(TargetLost),
        ):
            list(session.run(TaskSet(TASKS), horizon_ms=200))
        with opened(server.stations[1].address, "G4") as session:  # another board, whose tasks it can rank
            assert list(session.run(TaskSet([{**TASKS[0], "id": 0}])))
    said = capsys.readouterr().err
    assert said.startswith("error: a board hangs: policy Failing failed: ZeroDivisionError")
    assert said.count("\n") == 1


def test_a_set_that_the_policy_cannot_rank_hangs_the_board_that_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    with (
        serving(generation="G3b", policy="fp") as server,
        opened(server.stations[0].address, "G3b", reply_ms=300, silence_ms=300) as session,
        pytest.raises(TargetLost),
    ):
        list(session.run(TaskSet(BY_DEADLINE), horizon_ms=200))
    assert "task 0: priority: is missing, policy fp needs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("nowhere.py:Inverted", "nowhere.py: there is no such file"),
        ("{own}:Invertd", "has no 'Invertd'"),
        ("{own}", "is a file, expected"),
        ("{own}:Nothing", "Nothing has no rank()"),
        ("{own}:OWN", "has no 'OWN'"),
        ("edff", "there is no policy 'edff'"),
    ],
)
def test_what_is_no_policy_is_one_line_before_anything_listens(own: Path, policy: str, words: str) -> None:
    options = BoardOptions(policy=policy.format(own=own))
    with pytest.raises(UsageError) as caught:
        options.server()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_cannot_travel_into_another_process() -> None:
    with pytest.raises(UsageError, match="is no name"):
        BoardOptions(policy=SimSession)  # type: ignore[arg-type]  # what a user may try


def test_the_command_refuses_a_missing_file_with_exit_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "taskgen", "board", "serve", "--port", "0", "--policy", "nowhere.py:Inverted"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == ["error: nowhere.py: there is no such file"]
