"""The boards' kernel: levels, round robin, the EDF queue below them, expired deadlines, accounting."""

from collections.abc import Callable
from typing import Literal

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.boards.kernel import QUANTUM_NS, SYSTEM_LEVEL, Kernel, Thread
from sim.workload import NEVER
from taskgen.units import NS_PER_MS


class Bench:
    """A kernel whose threads ask for CPU time at given instants, all times in ms."""

    def __init__(
        self, *, cores: int = 1, quantum_ms: int = 10, expired: Literal["yield", "starve"] = "yield", uptime_ms: int = 0
    ) -> None:
        self.env = simpy.Environment()
        self.kernel = Kernel(
            self.env, cores, quantum_ns=quantum_ms * NS_PER_MS, expired=expired, uptime_ns=uptime_ms * NS_PER_MS
        )
        self.ends: dict[str, int] = {}
        self.threads: dict[str, Thread] = {}

    def job(self, name: str, at: int, work: int, *, level: int = 1, core: int = 0, deadline: int = 0) -> None:
        def end(_: simpy.Event) -> None:
            self.ends[name] = int(self.env.now) // NS_PER_MS

        def begin(_: simpy.Event) -> None:
            thread = self.kernel.thread("test", name, level, core, deadline * NS_PER_MS)
            self.threads[name] = thread
            self.kernel.run(thread, work * NS_PER_MS).callbacks.append(end)

        self.at(at, begin)

    def at(self, at: int, action: Callable[[simpy.Event], None]) -> None:
        self.env.timeout(at * NS_PER_MS).callbacks.append(action)

    def run(self, until: int = 10_000) -> dict[str, int]:
        self.env.run(until=until * NS_PER_MS)
        return self.ends


def test_a_higher_level_preempts_and_the_lower_one_goes_on() -> None:
    """wire-protocol 7.1: 'Levels 0..255, higher runs first'."""
    bench = Bench()
    bench.job("low", 0, 10, level=127)
    bench.job("high", 4, 5, level=128)
    assert bench.run() == {"high": 9, "low": 15}


def test_the_system_preempts_every_task_but_those_of_its_own_level() -> None:
    """wire-protocol 7.1: 'All system components sit at level 128, so loading, destroying … pre-empt every task'."""
    bench = Bench(quantum_ms=2)
    bench.job("best", 0, 4, level=SYSTEM_LEVEL)
    bench.job("task", 0, 4, level=127)
    bench.job("system", 0, 4, level=SYSTEM_LEVEL)
    assert bench.run() == {"best": 6, "system": 8, "task": 12}


def test_round_robin_inside_a_level() -> None:
    """wire-protocol 7.1: 'round robin inside a level'; each gets about half (recordings 6.7)."""
    bench = Bench(quantum_ms=10)
    bench.job("a", 0, 25)
    bench.job("b", 0, 25)
    assert bench.run() == {"a": 45, "b": 50}


def test_a_preempted_thread_keeps_its_place_and_the_rest_of_its_quantum() -> None:
    bench = Bench(quantum_ms=10)
    bench.job("a", 0, 12)
    bench.job("b", 0, 10)
    bench.job("high", 4, 3, level=2)
    assert bench.run() == {"high": 7, "b": 23, "a": 25}  # a until 13, b 13..23, a 23..25


def test_the_usual_quantum_is_ten_ticks() -> None:
    assert Kernel(simpy.Environment(), 1).quantum_ns == QUANTUM_NS == 10 * NS_PER_MS


def test_edf_runs_only_when_no_fixed_priority_thread_is_ready() -> None:
    """wire-protocol 7.1: 'the EDF queue runs only when no fixed-priority thread is ready'."""
    bench = Bench()
    bench.job("edf", 0, 5, deadline=6)
    bench.job("fixed", 1, 10, level=1)
    assert bench.run() == {"fixed": 11, "edf": 15}


def test_the_earlier_absolute_deadline_runs() -> None:
    """wire-protocol 7.1: 'absolute deadline = kernel clock when the thread is created + relative deadline'."""
    bench = Bench()
    bench.job("late", 0, 10, deadline=100)
    bench.job("early", 3, 5, deadline=20)
    bench.job("later", 4, 5, deadline=97)  # 101: behind `late`
    assert bench.run() == {"early": 8, "late": 15, "later": 20}


def test_an_expired_head_yields_to_the_next_unexpired_one() -> None:
    """wire-protocol 7.1: 'head with an expired deadline is skipped in favour of the next unexpired one'."""
    bench = Bench()
    bench.job("expired", 0, 10, deadline=5)
    bench.job("block", 0, 8, level=1)
    bench.job("good", 8, 4, deadline=50)
    assert bench.run() == {"block": 8, "good": 12, "expired": 22}


def test_if_all_are_expired_the_head_runs() -> None:
    """wire-protocol 7.1: 'if all expired, the head runs'. A job past its deadline is not killed."""
    bench = Bench()
    bench.job("second", 0, 4, deadline=6)
    bench.job("first", 0, 4, deadline=5)
    bench.job("block", 0, 20, level=1)
    assert bench.run() == {"block": 20, "first": 24, "second": 28}


def test_on_old_kernels_an_expired_thread_never_runs_again() -> None:
    """wire-protocol 7.1: 'on G1o, G1p, G2 kernels a thread whose deadline has passed … never runs again'."""
    bench = Bench(expired="starve")
    bench.job("expired", 0, 10, deadline=5)
    bench.job("block", 3, 8, level=1)
    bench.job("good", 11, 4, deadline=50)
    assert bench.run() == {"block": 11, "good": 15}
    assert bench.threads["expired"].executed_ns == 3 * NS_PER_MS


def test_on_old_kernels_a_running_thread_survives_its_deadline_until_it_is_preempted() -> None:
    bench = Bench(expired="starve")
    bench.job("long", 0, 10, deadline=5)
    assert bench.run() == {"long": 10}


def test_after_the_wrap_every_deadline_counts_as_expired() -> None:
    """wire-protocol 7.4: 'After 71.6 minutes the 32-bit deadline is compared with a 64-bit clock'."""
    wrapped = 4_294_967 + 1000
    fresh, old = Bench(), Bench(uptime_ms=wrapped)
    for bench in (fresh, old):
        bench.job("expired", 0, 10, deadline=5)
        bench.job("block", 0, 8, level=1)
        bench.job("good", 8, 4, deadline=50)
    assert fresh.run() == {"block": 8, "good": 12, "expired": 22}
    assert old.run() == {"block": 8, "expired": 18, "good": 22}


def test_a_thread_without_level_and_deadline_is_rejected() -> None:
    """wire-protocol 7.2: 'A thread with level 0 and deadline 0 is rejected by core and never runs'."""
    bench = Bench()
    bench.job("rejected", 0, 1, level=0)
    assert bench.run() == {}


def test_threads_never_migrate() -> None:
    """wire-protocol 7.3: 'Tasks never migrate'."""
    bench = Bench(cores=2)
    bench.job("a", 0, 10, level=2)
    bench.job("b", 0, 10, level=1)
    bench.job("c", 0, 3, core=1)
    assert bench.run() == {"a": 10, "b": 20, "c": 3}


def test_a_destroyed_thread_consumes_nothing_any_more() -> None:
    bench = Bench()
    bench.job("doomed", 0, 10, level=2)
    bench.job("other", 0, 10)
    bench.at(4, lambda _: bench.kernel.destroy(bench.threads["doomed"]))
    assert bench.run() == {"other": 14}
    assert bench.threads["doomed"].executed_ns == 4 * NS_PER_MS
    assert bench.threads["doomed"].dead_ns == 4 * NS_PER_MS


def test_accounting_tells_what_a_running_thread_has_consumed() -> None:
    bench = Bench()
    bench.job("endless", 5, NEVER // NS_PER_MS)
    bench.run(until=12)
    thread = bench.threads["endless"]
    assert bench.kernel.executed_ns(thread) == 7 * NS_PER_MS
    assert thread.start_ns == 5 * NS_PER_MS
    assert bench.kernel.running(0) is thread


def test_a_halted_kernel_runs_nobody() -> None:
    bench = Bench()
    bench.job("a", 0, 10)
    bench.at(5, lambda _: bench.kernel.halt())
    assert bench.run() == {}


_JOBS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 20), st.integers(0, 3), st.integers(1, 60)), min_size=1, max_size=8
)


@settings(max_examples=60, deadline=None)
@given(jobs=_JOBS, quantum=st.integers(1, 12))
def test_the_core_is_work_conserving_and_gives_each_thread_what_it_asked_for(
    jobs: list[tuple[int, int, int, int]], quantum: int
) -> None:
    """Every job ends, and the last end is that of the busy periods, whatever levels and deadlines say."""
    bench = Bench(quantum_ms=quantum)
    for number, (at, work, level, deadline) in enumerate(jobs):
        bench.job(str(number), at, work, level=level, deadline=0 if level else deadline)
    ends = bench.run()
    busy_until = 0
    for at, work, _, _ in sorted(jobs):
        busy_until = max(busy_until, at) + work
    assert max(ends.values()) == busy_until
    assert len(ends) == len(jobs)
    for number, (at, work, _, _) in enumerate(jobs):
        assert ends[str(number)] >= at + work
        assert bench.threads[str(number)].executed_ns == work * NS_PER_MS


@pytest.mark.parametrize("quantum", [1, 3, 10])
def test_among_equals_nobody_waits_longer_than_the_others_quanta(quantum: int) -> None:
    bench = Bench(quantum_ms=quantum)
    for name in "abc":
        bench.job(name, 0, 30)
    ends = bench.run()
    assert max(ends.values()) - min(ends.values()) <= 2 * quantum
