"""A survey: what is at the targets right now, asked of all at once and waited for with an end.

A session class that has a class method `inspect(target) -> Mapping` says `state` and `generation` itself (and
`latency_ns`, if it knows better); any other is asked by `probe`. Boards that this process is connected to are left
alone.
"""

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskgen import addresses, in_use
from taskgen.boards import BoardTarget, port_of, session_class
from taskgen.errors import TargetError, UsageError
from taskgen.registry import describe
from taskgen.session import Target

#: Asked at the same time.
THREADS = 64
#: How long one target may take; then it counts as silent, and its thread is left behind.
PATIENCE_S = 30.0

_MAX_TEXT = 80


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of a target."""

    target: Target
    state: str  #: what its session says; else answers, absent, silent, in use
    generation: str | None = None
    latency_ns: int | None = None  #: how long it took to accept a connection, or to answer
    reason: str = ""


def survey(targets: Sequence[Target], *, patience_s: float = PATIENCE_S, threads: int = THREADS) -> list[Finding]:
    """Return what is at each target, in their order; the connections that discovery opened are used, then closed."""
    findings: dict[int, Finding] = {}
    waiting: queue.SimpleQueue[tuple[int, Target] | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Finding]] = queue.SimpleQueue()
    for numbered in enumerate(targets):
        waiting.put(numbered)
    count = min(threads, len(targets))
    for _ in range(count):
        waiting.put(None)
        threading.Thread(target=_ask_all, args=(waiting, done), name="taskgen survey", daemon=True).start()
    rounds = -(-len(targets) // count) if count else 0
    deadline = time.monotonic() + patience_s * rounds
    try:
        while len(findings) < len(targets):
            number, finding = done.get(timeout=max(0.0, deadline - time.monotonic()))
            findings[number] = finding
    except queue.Empty:
        pass
    silent = f"no answer within {patience_s:g} s"
    return [findings.get(number) or Finding(each, "silent", reason=silent) for number, each in enumerate(targets)]


def _ask_all(
    waiting: "queue.SimpleQueue[tuple[int, Target] | None]", done: "queue.SimpleQueue[tuple[int, Finding]]"
) -> None:
    while (numbered := waiting.get()) is not None:
        number, target = numbered
        try:
            finding = ask(target)
        except BaseException as error:  # noqa: BLE001  # a session is somebody's code; the survey goes on
            finding = Finding(target, "unknown", reason=describe(error))
        done.put((number, finding))


def ask(target: Target) -> Finding:
    """Return what is at one target."""
    connection = target.connection if isinstance(target, BoardTarget) else None
    if connection is None and _is_ours(target):
        return Finding(target, "in use", reason="by this process")
    kind = session_class(target.session)
    if kind is None:
        raise UsageError(f"there is no session {target.session!r}")
    latency_ns = target.latency_ns if isinstance(target, BoardTarget) else None
    started_ns = time.monotonic_ns()
    try:
        if hasattr(kind, "inspect"):
            said = kind.inspect(target)
        elif latency_ns is not None:
            said = {"state": "answers"}  # it accepted a moment ago; to probe is to connect once more
        else:
            said = {"state": "answers" if kind.probe(target) else "absent"}
    except TargetError as error:
        return Finding(target, "absent", reason=str(error))
    finally:
        if connection is not None:
            connection.close()
    if latency_ns is None and said.get("state") != "absent":
        latency_ns = time.monotonic_ns() - started_ns
    return _finding(target, said, latency_ns)


def _finding(target: Target, said: Mapping[str, Any], latency_ns: int | None) -> Finding:
    """Return what a session said, which it may have from the network, cut to size."""
    generation = said.get("generation")
    return Finding(
        target,
        _short(said.get("state", "answers")),
        None if generation is None else _short(generation),
        _latency_ns(said, latency_ns),
        _short(said.get("reason", "")),
    )


def _latency_ns(said: Mapping[str, Any], measured_ns: int | None) -> int | None:
    """Return what a session said, unless it said nothing or nonsense."""
    latency_ns = said.get("latency_ns")
    return latency_ns if type(latency_ns) is int and latency_ns >= 0 else measured_ns


def _short(value: object) -> str:
    text = "".join(character if character.isprintable() else "?" for character in str(value))
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 3]}..."


def _is_ours(target: Target) -> bool:
    try:
        address = addresses.split(target.address, port_of(target.session, target.options))
    except UsageError:  # it runs somewhere else than at an address
        return False
    return in_use.held(address)
