"""The stdio session shows what it is given, and runs nothing."""

import io
import json
import os

import pytest

from taskgen import Target, Task, TaskSet
from taskgen.distributor import Distributor
from taskgen.errors import InputError, UsageError
from taskgen.sessions.stdio import StdIOSession

SET = TaskSet([Task({"id": 3, "period": 10, "jitter": 1, "criticaltime": 5, "config": {"arg1": 13}})])


def test_a_description_is_printed_as_one_line_of_json_and_has_no_events() -> None:
    file = io.StringIO()
    with StdIOSession(file) as session:
        events = session.run(SET, admission={"optimize": {}})
        assert file.getvalue() == ""
        assert list(events) == []
    [line] = file.getvalue().splitlines()
    assert json.loads(line) == {"taskset": {"periodictask": [dict(SET[0])]}}
    assert not file.closed


def test_it_prints_to_the_stdout_of_the_moment(capsys: pytest.CaptureFixture[str]) -> None:
    with Distributor("10.0.0.7", session="stdio") as distributor:
        distributor.start(TaskSet([{"period": 10, "priority": range(3)}]))
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [document["taskset"]["periodictask"][0]["priority"] for document in printed] == [0, 1, 2]


def test_a_stopped_run_prints_nothing() -> None:
    file = io.StringIO()
    session = StdIOSession(file)
    events = session.run(SET)
    session.stop()
    assert list(events) == []
    assert file.getvalue() == ""


def test_what_json_cannot_carry_is_refused() -> None:
    with pytest.raises(InputError, match="note"):
        list(StdIOSession(io.StringIO()).run(TaskSet([{"period": 10, "note": object()}])))


def test_an_unknown_option_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"^StdIOSession takes no option 'policy'$") as caught:
        StdIOSession.open(Target("stdio", options={"policy": "edf"}))
    assert caught.value.hint == "its options are file"


def test_a_closed_pipe_ends_the_work_and_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    file = os.fdopen(writer, "w")
    with Distributor("stdio", options={"file": file}) as distributor, pytest.raises(BrokenPipeError):
        distributor.start(TaskSet([{"period": 10, "priority": range(100)}]))
    with pytest.raises(BrokenPipeError):
        file.close()
    assert distributor.progress.handed_out == 1
    assert capfd.readouterr().err == ""
