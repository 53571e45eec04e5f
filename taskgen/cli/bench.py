"""`taskgen bench`: measure a target by suites, keep the result, and compare it with an earlier one."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from taskgen.cli import bench_options as asked
from taskgen.cli import options
from taskgen.cli.bench_compare import Failing, FailOn
from taskgen.cli.run import open_document
from taskgen.cli.where import find_targets, session_options
from taskgen.errors import UsageError

if TYPE_CHECKING:
    from taskgen.bench.compare import Comparison
    from taskgen.bench.measure import Asked
    from taskgen.bench.result import Result
    from taskgen.bench.suite import Suite
    from taskgen.bench.work import Work
    from taskgen.session import Target

#: Suites that take as long as the user says: only who names one gets it.
_BY_NAME_ONLY = ("soak",)
_MS_PER_S = 1000
#: Wider than any table.
_WIDE = 100_000


def bench(  # one parameter per option of the command line
    ctx: typer.Context,
    target: asked.Target = None,
    suites: asked.Suites = None,
    list_them: asked.ListSuites = False,
    repeat: asked.Repeat = 10,
    warmup: asked.WarmUp = 1,
    seed: asked.Seed = 0,
    duration: asked.Duration = Decimal(60),
    calibration: asked.Calibration = None,
    session: options.Session = None,
    policy: options.Policy = None,
    profile: options.Profile = None,
    cores: options.Cores = None,
    migration: options.Migration = None,
    partition: options.Partition = None,
    non_preemptive: options.NonPreemptive = False,
    overrun: options.Overrun = None,
    tie: options.Tie = None,
    context_switch: options.ContextSwitch = None,
    scheduler_cost: options.SchedulerCost = None,
    migration_cost: options.MigrationCost = None,
    quantum: options.Quantum = None,
    workload: options.Workload = None,
    execution: options.Execution = None,
    binaries: options.Binaries = None,
    port: options.Port = None,
    dialect: asked.Dialect = None,
    inventory: options.Inventory = None,
    against: asked.Against = None,
    compare: asked.Compare = None,
    baseline: asked.Baseline = None,
    save_baseline: asked.SaveBaseline = None,
    fail_on: FailOn = None,
    as_json: options.AsJson = False,
    output: options.Output = None,
    debug: options.Debug = False,
) -> int:
    """Measure a target by suites of task-sets, and compare with an earlier result.

    Example: taskgen bench --suite latency --policy edf

    Example: taskgen bench --target board --save-baseline main

    Example: taskgen bench --target board --baseline main --fail-on worse

    Every result is kept in .taskgen/bench. Exit code 1: something is worse than the baseline, with --fail-on worse;
    75: the result isn't complete, since a run failed or no board was left; 130: Ctrl-C, what was measured is kept.
    """
    del debug  # main() looks at it
    if ctx.invoked_subcommand is not None:
        return 0
    if list_them:
        _list(as_json=as_json)
        return 0
    _check_against(against)
    from taskgen.bench.collect import broken_suite
    from taskgen.bench.measure import Asked

    given = session_options(
        non_preemptive=non_preemptive, policy=policy, profile=profile, cores=cores, migration=migration,
        partition=partition, overrun=overrun, tie=tie, context_switch_ms=context_switch, scheduler_ms=scheduler_cost,
        migration_ms=migration_cost, quantum_ms=quantum, workload=workload, execution=execution, port=port,
        dialect=dialect,
    )  # fmt: skip
    earlier = _earlier(compare, baseline)
    if fail_on is not None and earlier is None:
        raise UsageError("--fail-on worse: than what?", hint="name the earlier result: --baseline NAME, --compare FILE")
    _check_baseline_name(save_baseline)
    name = target or session or "sim"
    with ExitStack() as stack:
        sink = open_document(stack, output, to_stdout=as_json)
        chosen = _suites(suites)
        found = _targets(name, session, given, seed, inventory, binaries)
        work = _work(found, calibration)
        question = Asked(chosen, repeat, warmup, seed, int(duration * _MS_PER_S), work, name)
        result, unpredicted = _measured(found, question, against)
        place = _kept(result, save_baseline)
        comparison = _show(result, earlier, place)
        if sink is not None:
            from taskgen.bench.document import to_json

            sink.write(to_json(result) + "\n")
            sink.flush()
    code = _exit_code(result, comparison, fail_on)
    if code in {0, 75}:  # nothing that was measured is lost, and it isn't all well either
        if unpredicted is not None:
            raise unpredicted
        if broken := broken_suite(result):
            raise UsageError(broken, hint="what was measured is kept; mend the suite, and measure it again")
    return code


def _check_against(against: str | None) -> None:
    if against is None:
        return
    if against.partition(":")[0] != "sim":
        raise UsageError(f"--against {against!r:.40}: only sim predicts", hint="use --against sim, or sim:PROFILE")
    find_targets([against], None, {}, 0, None)


class Earlier(NamedTuple):
    """What the result is compared with."""

    name: str
    result: "Result"


def _earlier(compare: str | None, baseline: str | None) -> Earlier | None:
    if compare is None and baseline is None:
        return None
    if compare is not None and baseline is not None:
        raise UsageError("--compare and --baseline both say what to compare with", hint="give one of them")
    from taskgen.bench import document, shelf

    path = shelf.find(compare) if compare is not None else shelf.baseline(str(baseline))
    return Earlier(compare or str(baseline), document.read(path))


def _check_baseline_name(name: str | None) -> None:
    if name is not None:
        from taskgen.bench import shelf

        shelf.baseline_path(name)


def _suites(names: list[str] | None) -> "list[Suite]":
    from taskgen import registry
    from taskgen.bench.prepare import load_suite

    chosen = list(dict.fromkeys(names or [each for each in registry.names("suites") if each not in _BY_NAME_ONLY]))
    suites = [load_suite(name) for name in chosen]
    called = [suite.name for suite in suites]
    for name in called:
        if called.count(name) > 1:
            raise UsageError(f"two suites are called {name!r:.60}", hint="give one of them another name")
    return suites


def _targets(
    name: str, session: str | None, given: Mapping[str, Any], seed: int, inventory: Path | None, binaries: str | None
) -> "list[Target]":
    from taskgen.testing.stand import equipped

    return [equipped(each, binaries) for each in find_targets([name], session, given, seed, inventory)]


def _work(targets: "Sequence[Target]", calibration: Path | None) -> "Work | None":
    from taskgen.bench import calibrated
    from taskgen.testing.stand import is_board

    path = calibration
    if path is None and is_board(targets[0]):
        path = calibrated.find(targets[0])
    return None if path is None else calibrated.load(path)


def _measured(
    targets: "Sequence[Target]", question: "Asked", against: str | None
) -> "tuple[Result, UsageError | None]":
    """Return what was measured, and why it can't be predicted although that was asked for."""
    from taskgen.bench.measure import INTERRUPTED, measure
    from taskgen.cli.bench_progress import Progress

    with Progress(question.seed, keep=against is not None) as progress:
        result = measure(targets, question, progress)
    if against is None:
        return result, None
    from taskgen.bench.fidelity import fidelity

    cases = [f"{suite.name}/{case.name}" for suite in result.suites for case in suite.cases]
    kept = sorted(progress.kept, key=lambda each: cases.index(each[0]))  # not as they were shuffled
    try:
        return replace(result, extra={"fidelity": fidelity(kept, targets[0], against=against)}), None
    except UsageError as error:
        return result, error
    except KeyboardInterrupt:
        return replace(result, complete=False, reason=INTERRUPTED), None


def _kept(result: "Result", baseline: str | None) -> Path:
    from taskgen.bench import shelf

    place = shelf.store(result)
    if baseline is not None and result.complete:
        shelf.save_baseline(result, baseline)
    elif baseline is not None:
        typer.echo(f"the result isn't complete, so the baseline {baseline} is left as it is", err=True)
    return place


def _show(result: "Result", earlier: Earlier | None, place: Path) -> "Comparison | None":
    from taskgen.bench.compare import compare
    from taskgen.bench.table import show, summary_line
    from taskgen.monitors.stdout import plain_console

    console = plain_console()
    comparison = None if earlier is None else compare(earlier.result, result)
    show(console, result, comparison, baseline="" if earlier is None else earlier.name)
    if "fidelity" in result.extra:
        from taskgen.bench.fidelity import tables

        for table in tables(result.extra["fidelity"]):
            # As wide as its numbers need: nothing is cut where a pipe has no width.
            table.width = console.measure(table, options=console.options.update(width=_WIDE)).maximum
            console.print(table, soft_wrap=True)
    typer.echo(f"\n{f'Saved {place}' if comparison is None else summary_line(comparison, place)}")
    return comparison


def _exit_code(result: "Result", comparison: "Comparison | None", fail_on: Failing | None) -> int:
    from taskgen.bench.measure import INTERRUPTED

    if result.reason == INTERRUPTED:
        return 130
    code = 0 if comparison is None else comparison.exit_code(fail_on_worse=fail_on is Failing.worse)
    return code or (0 if result.complete else 75)


def _list(*, as_json: bool) -> None:
    from taskgen import registry
    from taskgen.bench.prepare import load_suite
    from taskgen.document import encode

    suites = [load_suite(name) for name in registry.names("suites")]
    if as_json:
        rows = [
            {
                "name": suite.name,
                "about": suite.about,
                "version": suite.version,
                "metrics": [
                    {"name": each.name, "unit": each.unit, "better": each.better, "about": each.about}
                    for each in suite.metrics
                ],
            }
            for suite in suites
        ]
        typer.echo(encode({"suites": rows}))
        return
    for suite in suites:
        typer.echo(f"{suite.name}: {suite.about}")
        for metric in suite.metrics:
            typer.echo(f"  {metric.name} [{metric.unit}]: {metric.about}")
