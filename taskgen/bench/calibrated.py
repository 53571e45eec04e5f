"""Calibrations as files: workload tables in TOML that say where they are from, and the work that they make of a target.

A file has a table per program, which `taskgen run --workload FILE.toml` and `taskgen board serve --workload FILE.toml`
read as any workload table, and one more, `calibration`, which these leave alone: target, generation, when and how it
was measured, and each point beside its prediction. It is written whole; what is read is bounded and checked.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from taskgen import __version__
from taskgen.bench.calibration import Effort, Fitted, Residual, before_start_ns
from taskgen.bench.fitting import EXPONENTS, Curve, Term, plain
from taskgen.bench.work import Table
from taskgen.boards import BoardTarget
from taskgen.errors import UsageError
from taskgen.output import whole_file
from taskgen.session import Target
from taskgen.testing.stand import address_of
from taskgen.units import MAX_NS, Milliseconds, format_ms, short, to_ns

FOLDER: Final = Path(".taskgen") / "calibrations"
#: The table of a file that is no program's.
META: Final = "calibration"
SCHEMA: Final = 1

_MOST_BYTES: Final = 1 << 20
_MOST_PROGRAMS: Final = 1000
_LONGEST_NAME: Final = 60
_LARGEST: Final = Decimal(MAX_NS)
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_HINT: Final = "measure it with `taskgen calibrate --target TARGET --program pi`"


# -- names -----------------------------------------------------------------------------------------------------------


def name_of(target: Target) -> str:
    """Return what a calibration of a target is called: its name in the inventory, else its address or profile."""
    return _names(target)[-1]


def path_of(target: Target, folder: Path = FOLDER) -> Path:
    """Return the file of a target's calibration, whether there is one or not."""
    return folder / f"{name_of(target)}.toml"


def find(target: Target, folder: Path = FOLDER) -> Path | None:
    """Return the calibration that there is for a target: that of the board itself, else that of its pool."""
    return next((path for name in _names(target) if (path := folder / f"{name}.toml").is_file()), None)


def _names(target: Target) -> list[str]:
    if (address := address_of(target)) is not None:
        entry = target.entry if isinstance(target, BoardTarget) else None
        names = [f"{address.host}_{address.port}", *([] if entry is None else [entry.name])]
    else:
        profile = target.address or str(target.options.get("profile", ""))
        names = [target.session if profile in {"", "ideal"} else f"{target.session}_{profile}"]
    return [re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:_LONGEST_NAME] for name in names]


# -- writing ---------------------------------------------------------------------------------------------------------


def document(
    target: Target, generation: str, fitted: Iterable[Fitted], effort: Effort, *, when: datetime | None = None
) -> dict[str, Any]:
    """Return a calibration as plain data: how it was measured, and for each program its curve and its points."""
    moment = (when or datetime.now(UTC)).astimezone(UTC)
    return {
        "schema": SCHEMA,
        "taskgen": __version__,
        "target": str(target),
        "generation": generation,
        "when": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "seed": effort.seed,
        "repeat": effort.repeat,
        "bound_percent": effort.bound_percent,
        "before_start_ms": _ms(before_start_ns(generation)),
        "programs": {each.program: _program_document(each) for each in fitted},
    }


def _program_document(fitted: Fitted) -> dict[str, Any]:
    return {
        "constant_ms": plain(fitted.curve.constant_ms),
        "terms": [{"coefficient_ms": plain(a), "exponent": plain(b)} for a, b in fitted.curve.terms],
        "fits": fitted.misfit is None,
        "max_residual_percent": fitted.max_percent,
        "rms_residual_percent": fitted.rms_percent,
        "points": [_point_document(each) for each in fitted.residuals],
    }


def _point_document(residual: Residual) -> dict[str, Any]:
    return {
        "arg1": residual.argument,
        "measured_ms": _ms(residual.measured_ns),
        "predicted_ms": _ms(residual.predicted_ns),
        "residual_percent": residual.percent,
        "samples_ms": [_ms(each) for each in residual.samples_ns],
    }


def _ms(time_ns: int) -> Decimal:
    return Decimal(format_ms(time_ns))


def write(path: Path, calibration: Mapping[str, Any]) -> list[str]:
    """Write those programs of a calibration whose curve fits, as a workload table; return their names.

    Where none does, nothing is written: what was measured before stays.

    Raises:
        UsageError: the place can't be written.
    """
    programs = {name: each for name, each in calibration["programs"].items() if each["fits"]}
    if programs:
        if path.parent == FOLDER:
            _make(FOLDER)
        with whole_file(path) as file:
            file.writelines(f"{line}\n" for line in _lines({**calibration, "programs": programs}))
    return list(programs)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: can't be made: {error.strerror or error}", hint="name a file with -o") from None


def _lines(calibration: Mapping[str, Any]) -> Iterator[str]:
    yield "# A workload table: `taskgen run --workload`, `taskgen board serve --workload`."
    for name, program in calibration["programs"].items():
        yield f"\n[{_key(name)}]"
        yield from (f"{key} = {_value(program[key])}" for key in ("constant_ms", "terms"))
    yield f"\n[{META}]  # where it is from"
    yield from (f"{key} = {_value(value)}" for key, value in calibration.items() if key != "programs")
    for name, program in calibration["programs"].items():
        yield f"\n[{META}.programs.{_key(name)}]"
        yield from (f"{key} = {_value(program[key])}" for key in ("max_residual_percent", "rms_residual_percent"))
        yield "points = ["
        yield from (f"  {_value(point)}," for point in program["points"])
        yield "]"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    """Return plain data as TOML on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            text = value.replace("\\", "\\\\").replace('"', '\\"')
            return '"' + "".join(each if each.isprintable() else f"\\U{ord(each):08X}" for each in text) + '"'
        case Mapping():
            return "{ " + ", ".join(f"{_key(key)} = {_value(inner)}" for key, inner in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value)


# -- reading ---------------------------------------------------------------------------------------------------------


class Calibrated(Table):
    """Work on a calibrated target: what its programs were measured to compute, within the range that was measured.

    Args:
        place: of the calibration, for the record.
        curves: by program.
        largest: the largest argument that was measured, by program.
        about: the table `calibration` of the file.
    """

    def __init__(
        self, place: str, curves: Mapping[str, Curve], largest: Mapping[str, int], about: Mapping[str, Any]
    ) -> None:
        growing = [name for name, curve in curves.items() if curve.terms]
        super().__init__(place, curves, (growing or list(curves))[0])
        self.source = f"calibration {place}"
        self.curves = curves
        self.about = about
        self._largest = largest

    def block(self, work_ms: Milliseconds) -> Mapping[str, Any]:
        """Return the program with the argument whose time is nearest.

        Raises:
            UsageError: no job with an argument that was measured computes for so long, or so shortly.
        """
        found = super().block(work_ms)
        largest = self._largest[self._program]
        if found["config"]["arg1"] > largest:
            longest_ns = self.curves[self._program].execution_ns(largest)
            raise UsageError(
                f"work: {short(work_ms)} ms: the {self.source} has no job of {self._program} so long, only up to"
                f" {format_ms(longest_ns)} ms",
                hint=f"calibrate further: --max-ms {to_ns(work_ms, 'work') // 10**6 + 1}",
            )
        return found

    def predicted_ns(self, program: str, argument: int) -> int | None:
        """Return the time from START to EXIT of a job alone; None: it wasn't measured."""
        if program not in self.curves or argument > self._largest[program]:
            return None
        return self.curves[program].execution_ns(argument) - before_start_ns(str(self.about["generation"]))


def work_of(target: Target, folder: Path = FOLDER) -> Calibrated | None:
    """Return the work of a target by its calibration; None: it has none.

    Raises:
        UsageError: the file is no calibration.
    """
    path = find(target, folder)
    return None if path is None else load(path)


def load(path: Path) -> Calibrated:
    """Read a calibration.

    Raises:
        UsageError: it can't be read, or is none; names the place.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror or error}", hint=_HINT) from None
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{path}: is too long for a calibration, expected at most {_MOST_BYTES} bytes", hint=_HINT)
    try:
        found = tomllib.loads(data.decode("utf-8"), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, InvalidOperation, RecursionError) as error:
        raise UsageError(f"{path}: is no TOML: {error!s:.100}", hint=_HINT) from None
    about = found.pop(META, None)
    _check_about(path, about, found)
    curves = {name: _curve(f"{path}: [{name}]", table) for name, table in found.items()}
    measured = {name: _largest(f"{path}: [{META}.programs.{name}]", about["programs"].get(name)) for name in curves}
    return Calibrated(str(path), curves, measured, about)


def _check_about(path: Path, about: Any, programs: Mapping[str, Any]) -> None:
    if not isinstance(about, dict) or not isinstance(about.get("programs"), dict):
        raise UsageError(f"{path}: has no table [{META}], so it is no calibration", hint=_HINT)
    if about.get("schema") != SCHEMA:
        raise UsageError(f"{path}: {META}.schema: is {short(about.get('schema'))}, expected {SCHEMA}", hint=_HINT)
    for key in ("generation", "target", "when"):
        if not isinstance(about.get(key), str):
            raise UsageError(f"{path}: {META}.{key}: is {short(about.get(key))}, expected a text", hint=_HINT)
    if not 0 < len(programs) <= _MOST_PROGRAMS:
        raise UsageError(f"{path}: has {len(programs)} programs, expected 1..{_MOST_PROGRAMS}", hint=_HINT)


def _curve(place: str, table: Any) -> Curve:
    if not isinstance(table, dict) or table.keys() != {"constant_ms", "terms"} or not isinstance(table["terms"], list):
        raise UsageError(f"{place}: expected constant_ms and terms, got {short(table)}", hint=_HINT)
    return Curve(
        _number(f"{place}: constant_ms", table["constant_ms"]), tuple(_term(place, each) for each in table["terms"])
    )


def _term(place: str, table: Any) -> Term:
    if not isinstance(table, dict) or table.keys() != {"coefficient_ms", "exponent"}:
        raise UsageError(f"{place}: terms: expected coefficient_ms and exponent, got {short(table)}", hint=_HINT)
    term = Term(*(_number(f"{place}: {key}", table[key]) for key in ("coefficient_ms", "exponent")))
    if term.exponent > max(EXPONENTS):
        raise UsageError(f"{place}: exponent: {term.exponent} is out of range, expected 0..{max(EXPONENTS)}")
    return term


def _number(place: str, value: Any) -> Decimal:
    if not isinstance(value, bool) and isinstance(value, int | Decimal):
        number = Decimal(value)
        if number.is_finite() and 0 <= number <= _LARGEST:
            return number
    raise UsageError(f"{place}: {short(value)} is no number from 0 on", hint=_HINT)


def _largest(place: str, about: Any) -> int:
    points: Sequence[Any] = about.get("points", ()) if isinstance(about, dict) else ()
    arguments = [point.get("arg1") for point in points if isinstance(point, dict)] if isinstance(points, list) else []
    known = [each for each in arguments if type(each) is int and each >= 0]
    if not known:
        raise UsageError(f"{place}: has no points with an arg1", hint=_HINT)
    return max(known)
