"""How long a job computes where the description doesn't say: calibrated programs.

A workload table gives, for each program (`pkg`), the CPU time of one job as a function of its argument
(`config.arg1`): a constant and terms coefficient x arg1^exponent. In TOML:

    [pi]
    constant_ms = 102
    terms = [{ coefficient_ms = 0.000861, exponent = 1 }]

    [idle]
    endless = true

    [sort]
    distribution = { kind = "uniform", low_ms = 2, high_ms = 5 }

Distributions are described in `sim.execution`. A table `calibration` is no program's: `taskgen calibrate` says there
where the figures are from.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from pathlib import Path
from typing import Any

from sim.distributions import Distribution
from sim.execution import Work, distribution
from taskgen.errors import InputError, UsageError
from taskgen.parameters import Parameters
from taskgen.units import MAX_NS, NS_PER_MS

#: Longer than any run: the execution time of a program that never ends.
NEVER = 1 << 63

_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_MAX_ARGUMENT = 2**32 - 1  # programs read it as u32
_NO_PROGRAM = "calibration"


@dataclass(frozen=True, slots=True)
class Term:
    """A summand of an execution time: coefficient x argument^exponent."""

    coefficient_ms: Decimal
    exponent: Decimal


@dataclass(frozen=True, slots=True)
class Program:
    """The CPU time of one job of a program as a function of `config.arg1`."""

    constant_ms: Decimal = Decimal(0)
    terms: tuple[Term, ...] = ()
    endless: bool = False
    distribution: Distribution | None = None  #: instead: each job has its own

    def execution_ns(self, argument: int) -> int:
        """Return the CPU time of one job in ns, rounded half-even; decimal arithmetic gives the same anywhere."""
        if self.endless:
            return NEVER
        total = self.constant_ms
        for term in self.terms:
            power = _CONTEXT.power(Decimal(argument), term.exponent) if argument else Decimal(0)
            total = _CONTEXT.add(total, _CONTEXT.multiply(term.coefficient_ms, power))
        return int(_CONTEXT.to_integral_value(_CONTEXT.multiply(total, Decimal(NS_PER_MS))))


@dataclass(frozen=True, slots=True)
class Workload:
    """A table of programs, calibrated on one machine."""

    name: str
    programs: Mapping[str, Program]

    def work(self, task: Parameters, seed: int) -> Work:
        """Return the execution times of a task's jobs: a constant, or drawn where its program has a distribution.

        Raises:
            InputError: what `execution_ns` raises.
        """
        name = task.attributes.get("pkg")
        program = self.programs.get(name) if isinstance(name, str) else None
        if program is None or program.distribution is None:
            return self.execution_ns(task)
        return program.distribution.work(task, seed)

    def execution_ns(self, task: Parameters) -> int:
        """Return C of a task: its own `executiontime`, else that of its program.

        Raises:
            InputError: neither the task nor the table knows; names both ways out.
        """
        if task.wcet_ns is not None:
            return task.wcet_ns
        name = task.attributes.get("pkg")
        program = self.programs.get(name) if isinstance(name, str) else None
        if program is None:
            what = (
                "has no executiontime and no pkg" if name is None else f"pkg: {name!r:.40} has no known execution time"
            )
            raise InputError(
                f"task {task.id}: {what} (workload table {self.name!r} knows {', '.join(sorted(self.programs))})",
                hint="give the task an executiontime, or a table that has the program with --workload FILE.toml",
            )
        execution_ns = program.execution_ns(_argument(task, needed=bool(program.terms)))
        if execution_ns == 0 or MAX_NS < execution_ns != NEVER:
            raise InputError(f"task {task.id}: the workload table {self.name!r} gives {execution_ns} ns of work")
        return execution_ns


def _argument(task: Parameters, *, needed: bool) -> int:
    argument = task.attributes.get("config", {}).get("arg1")
    if argument is None and not needed:
        return 0
    if isinstance(argument, bool) or not isinstance(argument, int) or not 0 <= argument <= _MAX_ARGUMENT:
        raise InputError(
            f"task {task.id}: config.arg1: {argument!r:.40} is no argument for {task.attributes['pkg']!r},"
            f" expected a whole number 0..{_MAX_ARGUMENT}",
            hint="its execution time follows from it; or give the task an executiontime",
        )
    return argument


def load(path: str | Path) -> Workload:
    """Load a workload table from a TOML file.

    Raises:
        UsageError: the file can't be read or is no table of programs; names the place.
    """
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ArithmeticError) as error:
        raise UsageError(f"{path}: is no TOML: {error}") from None
    except OSError as error:
        raise UsageError(
            f"{path}: can't be read: {error.strerror or error}", hint="name a workload table, a TOML file"
        ) from None
    except ValueError as error:  # no path at all
        raise UsageError(f"{str(path)!r:.80}: {error}", hint="name a workload table, a TOML file") from None
    document.pop(_NO_PROGRAM, None)
    return Workload(
        path.stem, {name: _program(value, f"{path}: [{name}]", path.parent) for name, value in document.items()}
    )


def _program(table: Any, place: str, folder: Path) -> Program:
    known = {"constant_ms", "terms", "endless", "distribution"}
    if not isinstance(table, dict) or not table or not table.keys() <= known:
        raise UsageError(f"{place}: expected a table with {', '.join(sorted(known))}, got {table!r:.80}")
    if "distribution" in table:
        if len(table) > 1:
            raise UsageError(f"{place}: distribution: says all, leave {', '.join(table.keys() - {'distribution'})} out")
        return Program(distribution=distribution(table["distribution"], f"{place}: distribution", folder))
    terms = table.get("terms", [])
    if not isinstance(terms, list):
        raise UsageError(f"{place}: terms: {terms!r:.60} is no list")
    endless = table.get("endless", False)
    if not isinstance(endless, bool):
        raise UsageError(f"{place}: endless: {endless!r:.60} is neither true nor false")
    return Program(
        _number(table.get("constant_ms", 0), f"{place}: constant_ms"), tuple(_term(t, place) for t in terms), endless
    )


def _term(table: Any, place: str) -> Term:
    if not isinstance(table, dict) or table.keys() != {"coefficient_ms", "exponent"}:
        raise UsageError(f"{place}: terms: expected {{ coefficient_ms = …, exponent = … }}, got {table!r:.80}")
    exponent = _number(table["exponent"], f"{place}: exponent")
    if exponent > 8:
        raise UsageError(f"{place}: exponent: {exponent} is out of range, expected 0..8")
    return Term(_number(table["coefficient_ms"], f"{place}: coefficient_ms"), exponent)


def _number(value: Any, place: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise UsageError(f"{place}: {value!r:.60} is no number")
    number = Decimal(value)
    if not number.is_finite() or not 0 <= number <= MAX_NS:
        raise UsageError(f"{place}: {value} is out of range, expected 0..2^62")
    return number


def _solo(constant_ms: int, *terms: tuple[str, str]) -> Program:
    return Program(Decimal(constant_ms), tuple(Term(Decimal(c), Decimal(e)) for c, e in terms))


#: CPU time of the benchmark programs on an OMAP4430 (Cortex-A9), one task alone: 25 ms to the first instruction, the
#: program's fixed cost, and the fit over its argument. cond_42 is assumed to cost what cond_mod does; their loops cost
#: nothing measurable.
PANDABOARD = Workload(
    "pandaboard",
    {
        "hey": _solo(25 + 43),
        "namaste": _solo(25 + 43),
        "cond_mod": _solo(25 + 62),
        "cond_42": _solo(25 + 62),
        "pi": _solo(25 + 77, ("0.000861", "1")),
        "linpack": _solo(25 + 110, ("0.0024", "2"), ("0.0000397", "3")),
        "tumatmul": _solo(25 + 91, ("0.0015", "1"), ("0.0000094", "1.5")),
        "idle": Program(endless=True),
    },
)
