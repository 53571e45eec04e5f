"""Two clients to compare `hil.TaskloaderSession` with: one without any overhead, and one that polls.

`Bare` writes the bytes that the session writes, waits for the replies that it waits for, and keeps its quiet times. It
looks for a few words in what it reads, and checks, times and tells nothing: no client that is as careful on the wire
can be faster.

`PollingTool` is a small model of the first tool's design: hosts wait in a queue that is looked at every 2 s, a thread
per host asks its socket for an event for 0.1 s at a time, and the main thread looks every second whether all is done.
Header and payload leave by writes of their own, with Nagle's algorithm on. A set is over when each of its tasks has had
a job and no job is open; nothing waits for CLEAR, so an old set's events may count as the new one's. The availability
check and the upload are left out, so it is faster than it was.
"""

import queue
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from lxml import etree

from hil.documents.taskset import write
from hil.frames import encode
from hil.messages import Available, Clear, GetProfile, SendBinaries, SendDescriptions, Start
from taskgen import TaskSet
from taskgen.addresses import Address
from taskgen.dialect import BoardRow, describe_all
from taskgen.parameters import parameters_of

#: The session's option of this name, in ms: for late events where no barrier tells.
QUIET_MS: Final = 500
MS_PER_S: Final = 1000
NS_PER_S: Final = 10**9
#: Nobody waits longer for a reply.
REPLY_S: Final = 30.0

_WORD = 4
_AVAILABLE = encode(Available())


def described(taskset: TaskSet, row: BoardRow) -> SendDescriptions:
    """Return what a session sends to describe a set to boards of a generation."""
    return SendDescriptions(write(describe_all(parameters_of(taskset), row)))


class Bare:
    """A socket, and what is to be said and waited for; for generations that push their events."""

    def __init__(self, address: Address, row: BoardRow) -> None:
        self._row = row
        self._socket = socket.create_connection((address.host, address.port), REPLY_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._ended = self._echoes = 0
        self._barrier = _AVAILABLE if "AVAILABLE" in row.messages else b""
        self.sent = bytearray()  #: since the last `clear`

    def clear(self) -> None:
        """Let the board forget what it has, and get ready for the first set."""
        self._settle()
        self.sent.clear()

    def run(self, descriptions: bytes, tasks: int) -> None:
        """Run a set of so many tasks with one job each, from SEND_DESCS to the end of CLEAR."""
        self._ended = 0
        self._send(descriptions + encode(Start()) + self._barrier)
        while self._ended < tasks:
            self._read()
        self._settle()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _settle(self) -> None:
        """Clear, and wait until nothing more can come."""
        self._echoes = 0
        self._send(encode(Clear()) + encode(GetProfile()) + self._barrier)
        if self._barrier:
            while not self._echoes:
                self._read()
            return
        if self._row.silent_when_empty:
            self._listen(self._row.clear_ns / NS_PER_S + QUIET_MS / MS_PER_S)
            return
        empty = False
        while not empty:
            for document in self._read():
                empty = b"<event " not in document
                if not empty:
                    self._send(encode(GetProfile()))
        self._listen(QUIET_MS / MS_PER_S)

    def _listen(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                self._read()
            except TimeoutError:
                break
        self._socket.settimeout(REPLY_S)

    def _send(self, data: bytes) -> None:
        self.sent += data
        self._socket.sendall(data)

    def _read(self) -> list[bytes]:
        """Return the documents that come next, up to their ends."""
        data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the board has hung up")
        buffer, documents = self._buffer + data, []
        while len(buffer) >= _WORD:
            word = buffer[:_WORD]
            if word == _AVAILABLE:
                self._echoes += 1
                buffer = buffer[_WORD:]
                continue
            size = _WORD + int.from_bytes(word, "little")
            if len(buffer) < size:
                break
            documents.append(buffer[:size].partition(b"</profile>")[0])  # an older one may have left its tail
            self._ended += documents[-1].count(b'"JOBS_DONE"')
            buffer = buffer[size:]
        self._buffer = buffer
        return documents


class Batch(NamedTuple):
    """How long a batch took: at work, and as a whole, from the tool's making to its end."""

    busy_s: float
    whole_s: float


class PollingTool:
    """Runs sets on hosts the way the first tool did; see the head of this module."""

    QUEUE_S = 2.0
    EVENT_S = 0.1
    IDLE_S = 0.1
    FINISH_S = 1.0

    def __init__(self, hosts: Sequence[Address], row: BoardRow) -> None:
        self._row = row
        self._made_s = time.perf_counter()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._sets: deque[TaskSet] = deque()
        self._in_progress = 0
        self._began_s = self._ended_s = 0.0
        self._hosts: queue.Queue[Address] = queue.Queue()
        for host in hosts:
            self._hosts.put(host)
        self._sessions: list[threading.Thread] = []
        self._starter = threading.Thread(target=self._start_sessions, daemon=True)
        self._starter.start()

    def run(self, sets: Sequence[TaskSet]) -> Batch:
        """Run all sets, close, and return how long that took."""
        with self._lock:
            self._sets.extend(sets)
        while self._sets or self._in_progress:
            time.sleep(self.FINISH_S)
        self._closed.set()
        for thread in (self._starter, *self._sessions):
            thread.join()
        return Batch(self._ended_s - self._began_s, time.perf_counter() - self._made_s)

    def _start_sessions(self) -> None:
        while not self._closed.is_set():
            try:
                host = self._hosts.get(timeout=self.QUEUE_S)
            except queue.Empty:
                continue
            session = threading.Thread(target=self._serve, args=(host,), daemon=True)
            self._sessions.append(session)
            session.start()

    def _serve(self, host: Address) -> None:
        with socket.create_connection((host.host, host.port), REPLY_S) as connection:
            while not self._closed.is_set():
                with self._lock:
                    taskset = self._sets.popleft() if self._sets else None
                    self._in_progress += taskset is not None
                if taskset is None:
                    time.sleep(self.IDLE_S)
                    continue
                self._began_s = self._began_s or time.perf_counter()
                self._run(connection, taskset)
                self._ended_s = time.perf_counter()
                self._in_progress -= 1

    def _run(self, connection: socket.socket, taskset: TaskSet) -> None:
        message = encode(described(taskset, self._row))
        for data in (encode(Clear()), message[: 2 * _WORD], message[2 * _WORD :]):
            connection.send(data)
        connection.send(encode(SendBinaries(0)))
        connection.send(encode(Start()))
        started: Counter[int] = Counter()
        ended: Counter[int] = Counter()
        while len(started) < len(taskset) or started != ended:
            for kind, task in self._events(connection):
                if kind in ("START", "EXIT"):
                    (started if kind == "START" else ended)[task] += 1

    def _events(self, connection: socket.socket) -> list[tuple[str, int]]:
        connection.settimeout(self.EVENT_S)
        try:
            size = int.from_bytes(connection.recv(_WORD), "little")
        except TimeoutError:
            return []
        finally:
            connection.settimeout(REPLY_S)
        data = b""
        while len(data) < size:
            data += connection.recv(min(1024, size - len(data)))
        root = etree.fromstring(data.replace(b"\0", b""))
        return [(str(each.attrib["type"]), int(each.attrib["task-id"])) for each in root.iter("event")]
