"""The board's commands, event log and thread table, as a board behind the protocol uses them."""

from typing import Any

import simpy

from sim.boards.board import Board
from sim.boards.description import Demand, DemandOf, Description
from sim.boards.endings import RIP_SIZE
from sim.boards.generation import G1, G1O, G3B, G4, Generation
from taskgen.units import NS_PER_MS

MS = NS_PER_MS
#: On the second core of a G4 board, where the loader isn't.
PLACED: Any = {"cores": 2, "coreoffset": 2}


def board(row: Generation, demand: DemandOf | None = None, **options: Any) -> tuple[simpy.Environment, Board]:
    env = simpy.Environment()
    return env, Board(env, row, demand or (lambda *_: Demand(100 * MS)), **options)


def single(id_: int = 7, **values: Any) -> Description:
    return Description(id=id_, pkg="pi", quota=5 << 20, caps=235, jobs=1, priority=200, **values)


def test_the_service_thread_lives_from_the_parse_to_clear() -> None:
    """wire-protocol 4.1: '`init -> taskloader`, `NN.pkg` … exists from SEND_DESCS to CLEAR'."""
    env, it = board(G1, uptime_ns=5000 * MS)
    env.run(it.send_descs([single()]))
    (row,) = it.threads()
    assert (row.session, row.thread, row.arrival_time) == ("init -> taskloader", "07.pi", 5000)
    env.run(it.clear())
    assert it.threads() == []


def test_the_child_shows_arrival_start_exit_and_execution_time() -> None:
    """wire-protocol 4.1: arrival-time, start-time, exit-time, execution-time in ms since boot, priority, core."""
    env, it = board(G1)
    env.run(it.send_descs([single()]))
    it.start()
    env.run(until=100 * MS)
    child = it.threads()[1]
    assert (child.session, child.thread) == ("init -> taskloader -> 07.pi", "07.pi")
    assert (child.arrival_time, child.start_time, child.exit_time) == (38, 64, 0)
    assert (child.execution_time, child.priority, child.core, child.state) == (36, 127, 0, 1)
    assert child.foc_id > it.threads()[0].foc_id  # ascending with creation
    env.run(until=300 * MS)
    child = it.threads()[1]
    assert (child.exit_time, child.execution_time) == (164, 100)  # soft exit, not destroyed yet
    env.run(until=500 * MS)
    assert len(it.threads()) == 1


def test_the_rip_table_dates_the_destruction_and_starts_anew_after_50() -> None:
    """wire-protocol 4.3: 'Kernel ring of the last 50 destroyed threads per core … The fill counter restarts at 1'."""
    env, it = board(G1)
    env.run(it.send_descs([single()]))
    for count in range(1, RIP_SIZE + 3):
        env.run(it.start())
        env.run(until=env.now + 600 * MS)
        dead = list(it.dead_threads())
        assert len(dead) == (count if count <= RIP_SIZE else count - RIP_SIZE)
        assert dead[-1].time_us <= it.clock_ns // 1000


def test_reading_the_profile_clears_it() -> None:
    """wire-protocol 3.1: 'Reading the log, by poll or push, clears it'; 6.6: CLEAR does not reset the event log."""
    env, it = board(G1)
    env.run(it.send_descs([single()]))
    env.run(it.start())
    env.run(it.clear())
    entries = it.read_profile()
    assert [(str(entry.type), entry.task_id, entry.stamp_ms) for entry in entries] == [
        ("START", 7, 64),
        ("EXIT_EXTERNAL", 7, 64),
    ]
    assert it.read_profile() == ()


def test_a_push_empties_the_log_and_is_lost_without_a_listener() -> None:
    """wire-protocol 3.4: 'a push with nobody connected is written into the void and its events are lost'."""
    env, it = board(G3B)
    env.run(it.send_descs([single(period_ns=1000 * MS)]))
    env.run(it.start())
    env.run(until=env.now + 800 * MS)
    assert it.read_profile() == ()


def test_commands_are_served_one_after_the_other() -> None:
    """wire-protocol 1.1: 'Served by a single loop'; 6.5: on G4 START blocks for all offsets."""
    env, it = board(G4)
    env.run(it.send_descs([single(period_ns=1000 * MS, offset_ns=400 * MS)]))
    it.start()
    assert env.run(it.clear()) == (27 + 400 + 1000) * MS


def test_a_reboot_forgets_everything_and_starts_the_clock_anew() -> None:
    """wire-protocol 8, hazard 9: 'after REBOOT expect reset …; wait 20-60 s, forget which binaries were sent'."""
    env, it = board(G4, binaries={"pi"}, uptime_ns=3_000_000 * MS)
    env.run(it.send_descs([single(period_ns=1000 * MS)]))
    env.run(it.start())
    lost = it.clear()
    assert env.run(it.reboot()) == 20_000 * MS
    assert it.clock_ns == 0
    assert it.binaries == set()
    assert it.threads() == []
    env.run(until=env.now + 60_000 * MS)
    assert it.read_profile() == ()
    assert not lost.triggered
    assert env.run(it.clear()) == 1000 * MS


def test_a_goal_that_the_board_can_not_parse_hangs_it() -> None:
    """wire-protocol 5.4: 'A `goal` without both sub-trees throws'; 1.6: the RPC never returns."""
    env, it = board(G3B)
    sent = it.send_descs([single()], {"goal": {"fairness": {"apply": 1}}})
    env.run(until=1000 * MS)
    assert it.hung
    assert not sent.triggered


def test_a_kill_and_a_destruction_share_the_loaders_core() -> None:
    """wire-protocol 6.7: with siblings, creations and kills come later: both are the loader's work on core 0."""
    env, it = board(G1, lambda one, _: Demand((10 if one.id == 1 else 500) * MS))
    env.run(it.send_descs([single(1), single(2), single(3)]))
    alone = [38 + 22 + round(37.5 * k) for k in range(3)]
    env.run(it.start())
    arrivals = [row.arrival_time for row in it.threads()[3:]]
    assert arrivals[:2] == [60, 97]
    assert arrivals[2] >= alone[2]


def test_an_error_exit_that_a_stop_overtakes_is_destroyed_once() -> None:
    """wire-protocol 6.5: '17, 19, 20, other -> destroy at once', whoever comes first."""
    slow = Description(id=2, pkg="pi", quota=5 << 20, caps=235, jobs=9, priority=9, period_ns=5000 * MS, **PLACED)
    faulty = Description(id=1, pkg="pi", quota=5 << 20, caps=235, jobs=9, priority=1, period_ns=5000 * MS, **PLACED)
    env, it = board(G4, lambda one, _: Demand(9000 * MS) if one.id == 2 else Demand(500 * MS, exit_value=1))
    env.run(it.send_descs([slow, faulty]))
    env.run(it.start())
    env.run(until=env.now + 500 * MS)
    env.run(it.stop())
    env.run(until=env.now + 3000 * MS)
    assert it.loader.instances == []


def test_g1o_waits_one_query_interval_of_the_goal_document_per_turn() -> None:
    """wire-protocol 7.4: 'G1o, priority 128: each of the `numberofjobs` turns costs one query_interval'."""
    goal = {"goal": {"fairness": {"apply": 1}, "utilization": {"apply": 0}}, "query_interval": 500}
    env, it = board(G1O)
    env.run(it.optimize({"optimize": goal}))
    urgent = Description(id=1, pkg="pi", quota=5 << 20, jobs=3, priority=128, deadline_ns=50 * MS, period_ns=1000 * MS)
    env.run(it.send_descs([urgent]))
    blocked_ns: Any = env.run(it.start())
    assert 1500 * MS <= blocked_ns < 1600 * MS
