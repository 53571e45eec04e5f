"""`taskgen check`: search for a task-set that breaks a property, without a test file."""

import random
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import typer

from taskgen import registry
from taskgen.cli import check_options as asked
from taskgen.cli import options
from taskgen.cli.run import goal_of, open_document
from taskgen.cli.where import session_options
from taskgen.errors import UsageError
from taskgen.units import to_ns


def check(  # one parameter per option of the command line
    targets: options.Targets = None,
    properties: asked.Properties = None,
    against: asked.Against = None,
    list_them: asked.ListLaws = False,
    taskset: options.TaskSets = None,
    file: options.Files = None,
    dialect: options.Dialect = None,
    tasks: asked.Tasks = None,
    max_utilization: asked.MaxUtilization = None,
    max_period: asked.MaxPeriod = None,
    max_jobs: asked.MaxJobs = None,
    deadlines: asked.Deadlines = None,
    kind: asked.Kind = None,
    unit: asked.Unit = None,
    program: asked.Program = None,
    max_examples: asked.MaxExamples = None,
    seed: asked.Seed = None,
    budget: asked.Budget = None,
    target: asked.Target = None,
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
    workload: options.Workload = None,
    execution: options.Execution = None,
    admission: options.Admission = None,
    binaries: options.Binaries = None,
    port: options.Port = None,
    inventory: options.Inventory = None,
    counterexamples: asked.Counterexamples = asked.FOLDER,
    as_json: options.AsJson = False,
    output: options.Output = None,
    debug: options.Debug = False,
) -> int:
    """Search for a task-set that breaks a property of scheduling, shrink it, and store it.

    Example: taskgen check --property fixed_priority_order --policy mine.py:Scheduler

    Example: taskgen check --property job_counts --property release_separation --target board

    Example: taskgen check --against sim --target board

    What was stored before comes first, and is never deleted. Exit code 0: everything held; 1: something is broken;
    75: no verdict, because nothing could be judged or the target was lost.
    """
    del debug  # main() looks at it
    if list_them:
        return _list(output, as_json=as_json)
    if horizon is not None:
        to_ns(horizon, "--horizon")
    chosen = list(dict.fromkeys(properties or []))
    if not chosen and against is None:
        raise UsageError("nothing to check", hint="name a property with --property (see `taskgen check --list`)")
    if against is not None and against.partition(":")[0] != "sim":
        raise UsageError(f"--against {against!r:.40}: only the simulator is an oracle", hint="use --against sim")
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    bounds = {
        "n": tasks, "max_utilization": max_utilization, "max_period": max_period, "max_jobs": max_jobs,
        "deadlines": deadlines, "policy": kind, "unit_ms": unit, "block": None if program is None else _block(program),
    }  # fmt: skip
    given = session_options(
        non_preemptive=non_preemptive, policy=policy, profile=profile, cores=cores, migration=migration,
        partition=partition, overrun=overrun, tie=tie, context_switch_ms=context_switch, scheduler_ms=scheduler_cost,
        migration_ms=migration_cost, quantum_ms=quantum, workload=workload, execution=execution, binaries=binaries,
        port=port, dialect=None if file else dialect,
    )  # fmt: skip
    name = _only([*(targets or []), *([target] if target else [])], session)
    goal = None if admission is None else goal_of(admission)
    from taskgen.cli.searches import Place, Searches, Sets, oracle_of, stand_of

    sets = Sets(
        taskset or [],
        file or [],
        dialect if file else None,
        {key: value for key, value in bounds.items() if value is not None},
    )
    here = Place(name, session, given, horizon, goal, counterexamples, seed)
    with ExitStack() as stack:
        sink = open_document(stack, output, to_stdout=as_json)
        stand, told = stand_of(name, session, given, seed, inventory, against=against)
        stack.enter_context(stand)
        searches = Searches(here, stand, sets, max_examples=max_examples, budget=budget)
        judges = searches.laws(chosen)
        if against is not None:
            judges.append(searches.difference(stack.enter_context(oracle_of(stand, against, told)), against))
        code = searches.run(judges)
        if sink is not None:
            sink.write(searches.document())
            sink.flush()
    return code


def _list(output: Path | None, *, as_json: bool) -> int:
    from taskgen.cli.laws import law_lines, laws_document

    with ExitStack() as stack:
        sink = open_document(stack, output, to_stdout=as_json)
        if sink is not None:
            sink.write(laws_document())
            sink.flush()
    for line in () if as_json else law_lines():
        typer.echo(line)
    return 0


def _only(names: list[str], session: str | None) -> str:
    chosen = list(dict.fromkeys(names)) or [session or "sim"]
    if len(chosen) > 1:
        raise UsageError(f"{' '.join(chosen)}: one search runs on one target", hint="start one for each")
    return chosen[0]


def _block(name: str) -> Mapping[str, Any]:
    found = registry.load("blocks", name)
    if not isinstance(found, Mapping):
        raise UsageError(f"--program {name}: it is no block with fixed values", hint="use hey.HelloWorld, for instance")
    return found
