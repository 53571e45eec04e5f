"""Faults of the transport, as a transformation of the two byte streams of one connection.

No socket and no clock: bytes in, `Piece`s out, each with the time that it is late. A `Stream` finds out where messages
begin (`hil.board.framing`), since they are what faults strike at, and passes them through a stage per fault, in the
order of the plan. What comes out doesn't depend on how the streams were sliced. Where a fault asks which message it is
(`at`), up to three bytes are held back until a word of four tells.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hil.board.framing import WAYS, Direction, Framer, Join, Segment
from hil.board.hooks import Piece
from hil.board.triggers import Plan, Trigger

#: The longest message that is kept to come twice.
MAX_DUPLICATE: Final = 1 << 20


class _Stage:
    """One fault in one direction of one connection; the base lets everything pass."""

    def __init__(self, trigger: Trigger) -> None:
        self.trigger = trigger
        self.fault = trigger.fault
        self._struck = False

    @property
    def counts(self) -> bool:
        """Whether it has to see each word that is no message by itself, as one could be struck and the next one not."""
        fault = self.fault
        return not fault.at and bool(fault.after or fault.once or fault.p < 1 or fault.jitter_ns)

    def take(self, segment: Segment) -> Iterable[Segment]:
        """Return what becomes of a segment."""
        if segment.begins:
            self._struck = self.trigger.strikes(segment.message)
            if self._struck:
                self.begin()
        self.trigger.sent(len(segment.data))
        yield from self.change(segment) if self._struck and not segment.over else (segment,)

    def begin(self) -> None:
        """Strike a message."""

    def change(self, segment: Segment) -> Iterable[Segment]:
        """Return what becomes of a part of a message that was struck."""
        return (segment,)

    def at_once(self) -> Iterable[Segment]:
        """Return what happens as soon as the fault is there."""
        return ()

    def heard(self, message: str) -> Iterable[Segment]:
        """Return what happens behind a message of the client."""
        self.trigger.heard(message)
        return ()


class _Latency(_Stage):
    _late_ns = 0

    def begin(self) -> None:
        self._late_ns = self.fault.number + self.trigger.random.randrange(self.fault.jitter_ns + 1)

    def change(self, segment: Segment) -> Iterable[Segment]:
        yield segment._replace(delay_ns=segment.delay_ns + self._late_ns)


class _Slice(_Stage):
    def change(self, segment: Segment) -> Iterable[Segment]:
        yield segment._replace(slice=self.fault.number, gap_ns=self.fault.gap_ns)


class _Counting(_Stage):
    """One for which each word is a message of its own."""

    @property
    def counts(self) -> bool:
        return not self.fault.at


class _Garbage(_Counting):
    def change(self, segment: Segment) -> Iterable[Segment]:
        garbage = self.trigger.random.randbytes(self.fault.number) if segment.begins else b""
        yield segment._replace(data=garbage + segment.data)


class _Duplicate(_Counting):
    def __init__(self, trigger: Trigger) -> None:
        super().__init__(trigger)
        self._copy = bytearray()
        self._fits = True

    def begin(self) -> None:
        self._copy.clear()
        self._fits = True

    def change(self, segment: Segment) -> Iterable[Segment]:
        yield segment
        self._fits = self._fits and len(self._copy) + len(segment.data) <= MAX_DUPLICATE
        if self._fits:
            self._copy += segment.data
        else:
            self._copy.clear()
        if segment.ends and self._fits:
            yield Segment(bytes(self._copy), segment.message, begins=True, ends=True)


class _Ending(_Counting):
    """Ends the connection at a byte: resets it, or closes it; prompt ones don't wait for a message."""

    def __init__(self, trigger: Trigger) -> None:
        super().__init__(trigger)
        self._place = 0  # in the message

    @property
    def counts(self) -> bool:
        after = self.fault.after
        if self.fault.prompt:  # it doesn't wait for messages unless told how many
            return after is not None and not after.unit
        return super().counts

    def take(self, segment: Segment) -> Iterable[Segment]:
        at = None if segment.over else (self._prompt if self.fault.prompt else self._in_message)(segment)
        if at is None or not self.trigger.spend():
            yield segment
            return
        if at:
            yield segment._replace(data=segment.data[:at], ends=False)
        yield from self.strike()

    def strike(self) -> Iterable[Segment]:
        """Return what a strike puts into the stream."""
        yield Segment(end="reset" if self.fault.kind == "reset" else "close")

    def at_once(self) -> Iterable[Segment]:
        if self.trigger.at_once and self.trigger.spend():
            yield from self.strike()

    def heard(self, message: str) -> Iterable[Segment]:
        if self.trigger.heard(message) and self.trigger.spend():
            yield from self.strike()

    def _prompt(self, segment: Segment) -> int | None:
        at = self.trigger.sent(len(segment.data))
        return len(segment.data) if segment.ends and self.trigger.passed() else at

    def _in_message(self, segment: Segment) -> int | None:
        size = len(segment.data)
        if segment.begins:
            self._struck = self.trigger.due(segment.message)
            self._place = 0
        self.trigger.sent(size)
        begin, self._place = self._place, self._place + size
        at = self.fault.number - begin
        is_inside = 0 <= at < size or (at == size and not segment.ends)
        return at if self._struck and is_inside and (at or segment.begins) else None


class _Hole:
    """What both directions of a black hole share."""

    is_open = False


class _BlackHole(_Ending):
    def __init__(self, trigger: Trigger, hole: _Hole) -> None:
        super().__init__(trigger)
        self._hole = hole

    @property
    def counts(self) -> bool:
        return super().counts and not self._hole.is_open

    def take(self, segment: Segment) -> Iterable[Segment]:
        return () if self._hole.is_open else super().take(segment)

    def strike(self) -> Iterable[Segment]:
        self._hole.is_open = True
        return ()


_STAGES: Final[dict[str, type[_Stage]]] = {
    "latency": _Latency,
    "slice": _Slice,
    "reset": _Ending,
    "cut": _Ending,
    "garbage": _Garbage,
    "duplicate": _Duplicate,
}


class Stream:
    """The two directions of one connection, with what goes wrong on them.

    Args:
        plan: what goes wrong.
        number: of the connection.
    """

    def __init__(self, plan: Plan, number: int) -> None:
        self.number = number
        self._framers = {way: Framer(way) for way in WAYS}
        self._stages: dict[Direction, list[_Stage]] = {way: [] for way in WAYS}
        self._over = False
        self.follow(plan)

    def follow(self, plan: Plan) -> None:
        """Let this go wrong from now on; faults that the plan before had, too, go on where they are."""
        before = [(way, stage) for way in WAYS for stage in self._stages[way]]
        self._stages = {way: [] for way in WAYS}
        for index, (fault, once) in enumerate(plan.faults):
            hole = _Hole()
            for way in WAYS:
                if fault.row.layer != "transport" or not fault.goes(way):
                    continue
                kept = next((each for side, each in before if side == way and each.trigger.shares(once)), None)
                trigger = plan.trigger(index, f"{self.number}/{way}")
                self._stages[way].append(kept or _stage(trigger, hole))

    def begin(self) -> list[Piece]:
        """Return what happens at once: when the connection is new, or has a new plan."""
        return self._pieces(segment for way in WAYS for stage in self._stages[way] for segment in stage.at_once())

    def feed(self, way: Direction, data: bytes) -> list[Piece]:
        """Return what comes of bytes that go one way; b"" is the end of that direction."""
        hold = any(stage.fault.at for stage in self._stages[way])
        split = self._framers[way].split(data, hold=hold, join=self._joined(way))
        return self._pieces(self._pass(way, split))

    def _joined(self, way: Direction) -> Join:
        """Return which words in a row no fault tells apart."""
        if not any(self._stages.values()):
            return "alone"
        return "" if any(stage.counts for stage in self._stages[way]) else "unknown"

    def reset(self, way: Direction) -> list[Piece]:
        """Return what comes of a reset by the sender of one direction."""
        return self._pieces(self._pass(way, [Segment(over=True, end="reset")]))

    def _pass(self, way: Direction, segments: Iterable[Segment]) -> Iterator[Segment]:
        for segment in segments:
            yield from _chain(self._stages[way], segment)
            if way == "up" and segment.ends:
                yield from self._heard(segment.message)

    def _heard(self, message: str) -> Iterator[Segment]:
        self._framers["down"].binaries += self._framers["up"].take_binaries()
        for way in WAYS:
            for stage in self._stages[way]:
                yield from stage.heard(message)

    def _pieces(self, segments: Iterable[Segment]) -> list[Piece]:
        """Return segments as pieces, joined where nothing is between them."""
        pieces: list[Piece] = []
        open_: list[bytes] = []
        last: Segment | None = None
        for segment in segments:
            if self._over:
                break
            if last is not None and not segment.follows(last):
                pieces.append(_piece(last, open_))
                open_ = []
            open_.append(segment.data)
            last = segment
            self._over = bool(segment.end)
        return pieces if last is None else [*pieces, _piece(last, open_)]


def _chain(stages: Sequence[_Stage], segment: Segment) -> Iterator[Segment]:
    if not stages:
        yield segment
        return
    for changed in stages[0].take(segment):
        yield from (changed,) if changed.end and not changed.over else _chain(stages[1:], changed)


def _stage(trigger: Trigger, hole: _Hole) -> _Stage:
    kind = trigger.fault.kind
    return _BlackHole(trigger, hole) if kind == "blackhole" else _STAGES[kind](trigger)


def _piece(segment: Segment, data: list[bytes]) -> Piece:
    return Piece(b"".join(data), segment.delay_ns, segment.end, segment.slice, segment.gap_ns)
