"""Programs of sessions, step by step: what each promises, what is left in the end, and how they are written down."""

import re
import socket
import subprocess
import sys
import threading
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sim.session import SimSession
from taskgen import Target, TaskSet
from taskgen.testing.leftovers import Leftovers
from taskgen.testing.model import FAR_MS
from taskgen.testing.program import Program
from taskgen.testing.script import NoExpressionError, Script
from tests.taskgen import promises

ONE = TaskSet([{"id": 0, "executiontime": 1, "period": 4, "priority": 0, "numberofjobs": 2}])
ENDLESS = TaskSet([{"id": 7, "executiontime": 1, "period": 4, "priority": 0}])


def take_all_steps(program: Program) -> None:
    program.connect()
    program.describe(ONE)
    program.probe()
    program.refuse("choices")
    program.refuse("value")
    program.refuse("empty")
    program.refuse("capability")
    program.refuse("admission")
    program.start()
    program.start_second()
    program.take(2)
    program.stop_from_thread()
    program.stop()
    program.take(1000)
    program.finish()
    program.describe(ENDLESS, horizon_ms=FAR_MS)
    program.start()
    program.take(5)
    program.finish_stopped()
    program.start()
    program.close_run()
    program.start()
    program.disconnect()
    program.describe(ONE)
    program.connect()
    program.stop()
    program.start()
    program.finish()
    program.take(1)


@pytest.mark.parametrize(
    "opens",
    [promises.Steady, Target("sim"), partial(SimSession, trace=False), promises.Bench()],
    ids=["class", "target", "partial", "object"],
)
def test_a_session_that_keeps_its_promises(opens: Any) -> None:
    with Program(opens) as program:
        take_all_steps(program)


def test_a_script_takes_the_steps_again(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    with Program(partial(SimSession.open, Target("sim", "G4"))) as program:
        take_all_steps(program)
        file.write_text(program.script().replace("    program.take(5)\n", "    program.take(5)\n    print('five')\n"))
    again = subprocess.run([sys.executable, file], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (again.stderr, again.stdout, again.returncode) == ("", "five\n", 0)


def test_a_target_is_lost_only_while_it_is_spoilt() -> None:
    bench = promises.Bench()
    with Program(bench, faults=bench) as program:
        program.connect()
        program.describe(ENDLESS, horizon_ms=50)
        program.start()
        program.take(1)
        program.inject("hum")
        program.inject("cut")
        program.finish()
        program.start()
        program.take(3)
        program.mend()
        program.finish()
        program.start()
        program.finish()
    assert not bench.spoilt


def test_the_end_of_a_program_mends_its_target() -> None:
    bench = promises.Bench()
    with Program(bench, faults=bench) as program:
        program.connect()
        program.inject("cut")
    assert not bench.spoilt


def fails(opens: Any, *steps: Any, patience_s: float = 30.0, **options: Any) -> str:
    """Take steps, each a name with what it gets; return what fails."""

    def take_steps() -> None:
        with Program(opens, patience_s=patience_s, **options) as program:
            program.connect()
            program.describe(ONE)
            for name, *args in steps:
                getattr(program, name)(*args)

    with pytest.raises(AssertionError) as caught:
        take_steps()
    assert "\n" not in str(caught.value)
    return str(caught.value)


RUN = (("start",), ("finish",))
STOPPED = (("describe", ENDLESS, FAR_MS), ("start",), ("take", 3), ("stop",), ("finish",))


@pytest.mark.parametrize(
    ("opens", "steps", "sentence"),
    [
        (promises.IgnoresStop, STOPPED, "the generator returns soon after stop(); it went on for more than 20000"),
        (promises.ForgetsStop, (("start",), ("stop",), ("take", 1)), "plan.stopped() is True here, got False"),
        (promises.Drifts, (*RUN, *RUN), "START comes with RELEASE|a deterministic session|released at its arrival"),
        (promises.NeverBusy, (("start",), ("start_second",)), "a second run while one is active raises SessionBusy"),
        (promises.Refuses, (("refuse", "empty"),), "run() refuses TaskSet([]) {} with InputError; it raised nothing"),
        (promises.Leaks, (*RUN, ("describe", ENDLESS, 9), *RUN), "an event belongs to a task of the set: Event"),
        (promises.IsLost, RUN, "a target without faults isn't lost; the run raised TargetLost: it fell from the table"),
        (promises.Absent(), (("probe",),), "probe() finds a target without faults"),
    ],
)
def test_a_broken_promise_is_named(opens: Any, steps: Any, sentence: str) -> None:
    said = fails(opens, *steps)
    assert any(said.startswith(each) or each in said for each in sentence.split("|"))


def test_what_is_left_is_found() -> None:
    before, over = Leftovers.now(), threading.Event()
    before.check(0)
    thread = threading.Thread(target=over.wait, name="left alone")
    with socket.socket(), pytest.raises(AssertionError, match="nothing is left in the end, found 1 sockets"):
        before.check(0)
    thread.start()
    with pytest.raises(AssertionError, match="nothing is left in the end, found the thread 'left alone'"):
        before.check(0)
    over.set()
    before.check(30)


def test_what_is_left_in_the_end_of_a_program_is_found() -> None:
    assert fails(promises.LeavesSocket, patience_s=1) == "nothing is left in the end, found 1 sockets"
    promises.LeavesSocket.left.pop().close()


def test_a_session_that_hangs_breaks_a_promise_too() -> None:
    before = threading.active_count()
    assert fails(promises.Hangs, ("disconnect",), patience_s=0.5) == (
        "a session never hangs: disconnect took longer than 0.5 s"
    )
    promises.Hangs.over.set()
    while threading.active_count() > before:
        pass


def test_misuse_of_a_program_is_refused() -> None:
    assert "there are no faults" in fails(promises.Steady, ("inject", "cut"))
    assert "connect() comes once" in fails(promises.Steady, ("connect",))
    assert "start() comes when no run is held" in fails(promises.Steady, ("start",), ("start",))


# -- scripts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expression"),
    [
        ((1, "a", None, [True]), "(1, 'a', None, [True])"),
        ((2,), "(2,)"),
        ((), "()"),
        ({"a": Fraction(1, 3), "b": Decimal("0.1")}, "{'a': Fraction(1, 3), 'b': Decimal('0.1')}"),
        (ENDLESS, "TaskSet([{'id': 7, 'executiontime': 1, 'period': 4, 'priority': 0}])"),
        (Target("sim", "G4"), "Target(session='sim', address='G4', options={})"),
        (partial(SimSession, profile="G4"), "partial(SimSession, profile='G4')"),
        (SimSession.open, "SimSession.open"),
        (len, "len"),
    ],
)
def test_what_has_an_expression(value: Any, expression: str) -> None:
    script = Script("all of it")
    script.name("found", value, "a value")
    assert f"\nfound = {expression}\n" in str(script)
    namespace: dict[str, Any] = {}
    exec(str(script), namespace)  # noqa: S102  # what we wrote
    found = namespace["found"]
    assert repr(found) == repr(value)


def test_what_has_none_is_left_to_fill_in() -> None:
    script = Script("half of it")
    script.name("target", lambda: 1, "what opens a session")
    assert re.search(r"\ntarget = None  # fill in: what opens a session, here <function .*<lambda>", str(script))
    with pytest.raises(NoExpressionError, match="has no expression"):
        script.expression(object())


def test_what_can_be_imported_is_imported_from_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_backend.py").write_text("class Own:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import own_backend  # type: ignore[import-not-found]  # it was just written

    script = Script("from elsewhere")
    script.name("target", own_backend.Own, "what opens a session")
    assert f"sys.path.insert(0, {str(tmp_path)!r})\n" in str(script)
    assert "from own_backend import Own\n" in str(script)


def test_what_a_main_file_defines_is_loaded_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "from taskgen.testing.program import Program\n"
        "from tests.taskgen.promises import Steady\n"
        "class Own(Steady):\n    pass\n"
        "if __name__ == '__main__':\n    print(Program(Own).script())\n"
    )
    shown = subprocess.run([sys.executable, file], capture_output=True, text=True, check=True, timeout=60).stdout
    assert f"target = load('sessions', '{file}:Own')\n" in shown
    again = tmp_path / "again.py"
    again.write_text(shown.replace("    pass\n", "    program.connect()\n"))
    subprocess.run([sys.executable, again], check=True, timeout=60)
