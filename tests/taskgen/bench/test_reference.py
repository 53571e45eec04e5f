"""The reference load: a fixed piece of work, spread over a benchmark, measured by one thread at a time."""

import itertools
import threading

from taskgen.bench.reference import MOST_SAMPLES, Reference, load


def test_the_load_is_the_same_each_time() -> None:
    assert load(1000) == load(1000) != load(1001)


def test_each_sample_is_the_time_of_one_load() -> None:
    clock = itertools.count(0, 7)
    reference = Reference(3, clock=lambda: next(clock), work=lambda: None)
    for _ in range(3):
        reference.sample()
    assert reference.samples == (7, 7, 7)


def test_samples_are_spread_over_many_runs() -> None:
    reference = Reference(100 * MOST_SAMPLES, work=lambda: None)
    for _ in range(100 * MOST_SAMPLES):
        reference.sample()
    assert len(reference.samples) == MOST_SAMPLES


def test_only_one_thread_measures_at_a_time() -> None:
    begun, go_on = threading.Event(), threading.Event()
    first = True

    def work() -> None:
        nonlocal first
        if not first:
            begun.set()
            go_on.wait(10)
        first = False

    reference = Reference(2, work=work)
    other = threading.Thread(target=reference.sample)
    other.start()
    assert begun.wait(10)
    reference.sample()
    assert not reference.samples
    go_on.set()
    other.join(10)
    assert len(reference.samples) == 1
