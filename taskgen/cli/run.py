"""`taskgen run`: run the variants of task-sets on targets, watch them, and judge."""

import json
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, redirect_stdout, suppress
from itertools import chain
from pathlib import Path
from typing import IO, Any

import typer

from taskgen import registry, tasksets
from taskgen.cli import options
from taskgen.cli.outcome import Drawings, Outcome, TextSink, Unheard
from taskgen.cli.where import find_targets
from taskgen.distributor import Distributor
from taskgen.distributor.health import Health
from taskgen.distributor.source import Work
from taskgen.errors import InputError, TaskgenError, UsageError
from taskgen.monitor import Monitor
from taskgen.monitors.progress import ProgressMonitor
from taskgen.monitors.stdout import StdOutMonitor
from taskgen.output import whole_file
from taskgen.report.result import ResultWriter
from taskgen.store import open_store, path_of
from taskgen.store.asked import run_asked
from taskgen.taskset import TaskSet
from taskgen.variants import Variants


def run(  # one parameter per option of the command line
    targets: options.Targets = None,
    taskset: options.TaskSets = None,
    file: options.Files = None,
    dialect: options.Dialect = None,
    limit: options.Limit = None,
    sample: options.Sample = None,
    seed: options.Seed = 0,
    session: options.Session = None,
    horizon: options.Horizon = None,
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
    engine: options.Engine = None,
    workload: options.Workload = None,
    execution: options.Execution = None,
    admission: options.Admission = None,
    binaries: options.Binaries = None,
    port: options.Port = None,
    inventory: options.Inventory = None,
    wire_log: options.WireLog = None,
    monitor: options.Monitor = None,
    as_json: options.AsJson = False,
    output: options.Output = None,
    store: options.Store = None,
    resume: options.Resume = False,
    gantt: options.Gantt = None,
    trace: options.Trace = None,
    check: options.Check = False,
    debug: options.Debug = False,
) -> int:
    """Run the variants of task-sets on targets.

    Example: taskgen run -t example.Hey6TaskSet

    Example: taskgen run -f sets.json --policy edf --check --gantt first.svg

    Example: taskgen run -t example.Hey7TaskSet --store sqlite:///hey7.db --resume -o hey7.json
    """
    del debug  # main() looks at it
    given = {
        "policy": policy, "profile": profile, "cores": cores, "migration": migration, "overrun": overrun, "tie": tie,
        "preemptive": False if non_preemptive else None, "context_switch_ms": context_switch,
        "scheduler_ms": scheduler_cost, "engine": engine, "workload": workload, "binaries": binaries, "port": port,
        "wire_log": wire_log, "partition": partition, "migration_ms": migration_cost, "quantum_ms": quantum,
        "execution": execution, "dialect": None if file else dialect,
    }  # fmt: skip
    given_options = {key: value for key, value in given.items() if value is not None}
    if resume and store is None:
        raise UsageError("--resume needs the --store to go on with", hint="add --store sqlite:///FILE")
    kept = None if store is None else path_of(store)
    _check_distinct({"--store": kept, "-o": output, "--gantt": gantt, "--trace": trace})
    drawings = Drawings(gantt, trace)
    failure: TaskgenError | None = None
    with ExitStack() as stack:
        document = open_document(stack, output, to_stdout=as_json)
        goal = None if admission is None else goal_of(admission)
        made = [tasksets.named(name, seed) for name in taskset or []]
        work, total = _work(made, file or [], dialect, seed=seed, sample=sample, limit=limit)
        if document is not None or store is not None:
            _check_writable_as_json(work)
        names = targets or [session or "sim"]
        where = find_targets(names, session, given_options, seed, inventory)
        distributor = Distributor(where)
        ledger = None
        if store is not None:
            question = run_asked(
                tasksets=zip(taskset or [], made, strict=True), files=file or [], targets=where, options=given_options,
                dialect=dialect, limit=limit, sample=sample, seed=seed, horizon_ms=horizon, admission=goal,
            )  # fmt: skip
            ledger = stack.enter_context(open_store(store, question, resume=resume))
        stack.callback(distributor.close)
        started = None if ledger is None else ledger.started
        writer = None if document is None else ResultWriter(document, " ".join(names), seed, started=started)
        outcome = Outcome(writer, drawings, ledger)
        outcome.health = lambda: distributor.health
        if outcome.runs:
            typer.echo(f"resumed: {outcome.runs} variants have their result already", err=True)
            total = None if total is None else total - outcome.runs
        matters = check or output is not None or drawings.wanted or store is not None
        distributor.monitors[:] = [outcome, *_monitors(monitor or [], distributor, total, needed=not matters)]
        try:
            distributor.start(work, goal, horizon_ms=horizon, seed=seed, limit=limit, ledger=ledger)
            distributor.close()
            _check_detached(distributor, outcome)
        except KeyboardInterrupt:
            with suppress(ValueError):  # not in the main thread: nobody presses Ctrl-C there
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # the document is closed first
            outcome.end(complete=False)
            typer.echo(f"interrupted: {outcome.finished} variants finished", err=True)
            return 130
        except TaskgenError as error:
            if not outcome.runs:  # no half document where nothing ran
                raise _with_source(error, file or []) from None
            distributor.close()
            failure = error
        outcome.end(complete=failure is None)
        _tell_of_lost_targets(distributor)
    if failure is not None:
        raise _with_source(failure, file or [])
    drawings.draw()
    return outcome.exit_code(check=check)


def _check_distinct(paths: Mapping[str, Path | None]) -> None:
    seen: dict[Path, str] = {}
    for option, path in paths.items():
        if path is None or (path.exists() and not path.is_file()):
            continue  # a device takes everything
        other = seen.setdefault(path.resolve(), option)
        if other != option:
            raise UsageError(f"{path}: {other} and {option} name the same file", hint="give each its own")


def _work(
    made: list[TaskSet], files: list[Path], dialect: str | None, *, seed: int, sample: int | None, limit: int | None
) -> tuple[Work, float | None]:
    """Return what to run, and how many variants that is if that is known without drawing them."""
    if bool(made) == bool(files):
        what = "both -t and -f are given" if made else "nothing to run"
        raise UsageError(what, hint="name a task-set with -t (see `taskgen list tasksets`) or a file with -f")
    if len(made) + len(files) > 1 or any(path.suffix.lower() == ".jsonl" for path in files):
        if sample is not None:
            raise UsageError("--sample needs one task-set", hint="give one -t or one -f")
        sources: list[Iterable[TaskSet]] = [[each] for each in made]
        sources += [_load(path, dialect) for path in files]
        return chain.from_iterable(sources), limit
    one = made[0] if made else TaskSet.load(files[0], dialect)
    if not len(one):
        raise InputError("the task-set is empty, expected at least one task")
    variants = one.variants()
    if sample is not None:
        variants = _sample(variants, sample, seed)
    count = variants.count
    return variants, count if limit is None else min(count, limit)


def _load(path: Path, dialect: str | None) -> Iterable[TaskSet]:
    """Load a file now, but the lines of a .jsonl one by one."""
    from taskgen import document

    if path.suffix.lower() != ".jsonl":
        return [document.load(path, dialect)]
    lines = document.load_all(path, dialect)
    first = next(lines, None)  # a file that isn't there, or holds something else, is known before anything runs
    return lines if first is None else chain([first], lines)


def _check_writable_as_json(work: Work) -> None:
    """Find out before anything runs that the results can't be told in JSON."""
    from taskgen import document

    if isinstance(work, Variants):
        document.to_plain(work[0])


def _sample(variants: Variants[TaskSet], size: int, seed: int) -> Variants[TaskSet]:
    try:
        return variants.sample(int(min(size, variants.count)), seed)
    except ValueError as error:
        raise UsageError(f"--sample: {error}", hint="use --limit for an unbounded set") from None


def goal_of(text: str) -> Mapping[str, Any]:
    """Return the goal of an admission control: one of ours by name, or the document in a file.

    Raises:
        UsageError: it is neither.
    """
    from taskgen.optimizations.fairness import Fairness
    from taskgen.optimizations.utilization import Utilization

    known: dict[str, type[dict[str, Any]]] = {"fairness": Fairness, "utilization": Utilization}
    if text in known:
        return known[text]()
    try:
        document = json.loads(Path(text).read_text("utf-8"))
    except OSError:
        raise UsageError(f"admission: {text!r} is no goal and no file", hint=f"one of: {', '.join(known)}") from None
    except ValueError as error:
        raise UsageError(f"admission: {text}: is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise UsageError(f"admission: {text}: expected a JSON object")
    return document


def open_document(stack: ExitStack, output: Path | None, *, to_stdout: bool) -> TextSink | None:
    """Return where the result document goes, and keep everything else off stdout if it goes there."""
    sinks: list[IO[str]] = []
    if output is not None:
        sinks.append(stack.enter_context(whole_file(output)))
    if to_stdout:
        sinks.append(sys.stdout)
        stack.enter_context(redirect_stdout(sys.stderr))
    return TextSink(sinks) if sinks else None


def _monitors(names: list[str], distributor: Distributor, total: float | None, *, needed: bool) -> list[Monitor]:
    """Return the monitors; where something else is wanted, too, they may lose their reader without ending the work."""
    monitors = [_monitor(name) for name in names] or [StdOutMonitor()]
    watched = any(isinstance(monitor, ProgressMonitor) for monitor in monitors)
    if not needed:
        monitors = [Unheard(monitor) for monitor in monitors]
    if total != 1 and not watched and sys.stderr.isatty():
        monitors.append(ProgressMonitor(total, health=lambda: distributor.health))
    return monitors


def _monitor(name: str) -> Monitor:
    found = registry.load("monitors", name)
    try:
        monitor = found() if callable(found) else found
    except TaskgenError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"monitor {name!r}: making it failed: {registry.describe(error)}") from error
    if not isinstance(monitor, Monitor):
        raise UsageError(f"monitor {name!r}: {found!r:.60} makes no taskgen.monitor.Monitor")
    return monitor


def _with_source(error: TaskgenError, files: list[Path]) -> TaskgenError:
    """Name the file that a wrong value came from, where only one is in question."""
    if len(files) == 1 and isinstance(error, InputError) and str(files[0]) not in str(error):
        return InputError(f"{error} ({files[0]})", hint=error.hint)
    return error


def _tell_of_lost_targets(distributor: Distributor) -> None:
    """Name the targets that were given up though others went on."""
    rows = distributor.health
    for row in rows:
        if row.health in {Health.BAD, Health.QUARANTINED} and len(rows) > 1:
            typer.echo(f"{row.target}: {row.health}, failed {row.failures} times in a row: {row.reason}", err=True)


def _check_detached(distributor: Distributor, outcome: Outcome) -> None:
    for detached in distributor.detached:
        if detached.monitor is outcome:
            raise UsageError(f"the results can't be written: {registry.describe(detached.error)}")
