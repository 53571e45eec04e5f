"""Random sets for the reference scheduler, and as the simulator reads them."""

from typing import Any

import pytest
from hypothesis import strategies as st

from taskgen import EventType, TaskSet
from tests.sim.reference import Options, Tasks

#: A job runs from then on.
RUNS = {EventType.DISPATCH, EventType.RESUME, EventType.MIGRATE}
warned = pytest.mark.filterwarnings("ignore:task . has a deadline and a priority")


@st.composite
def descriptions(draw: st.DrawFn, cores: int) -> Tasks:
    tasks = []
    for number in range(draw(st.integers(1, 3 + cores))):
        period = draw(st.integers(0, 12))
        times = draw(st.lists(st.integers(1, 6), min_size=1, max_size=2))
        task: dict[str, Any] = {"id": number, "times": times, "period": period, "priority": draw(st.integers(0, 3))}
        optional = {
            "deadline": st.integers(1, 14),
            "offset": st.integers(0, 9),
            "criticaltime": st.integers(1, 10),
        }
        if period:
            optional["numberofjobs"] = st.integers(1, 4)
        task |= {key: draw(values) for key, values in optional.items() if draw(st.booleans())}
        task["coreoffset"] = draw(st.integers(0, cores - 1))
        tasks.append(task)
    return tasks


@st.composite
def cases(draw: st.DrawFn, /, **fixed: Any) -> tuple[Tasks, Options]:
    cost = st.integers(0, 2)
    options: Options = {
        "cores": draw(st.integers(1, 3)),
        "policy": draw(st.sampled_from(["fp", "edf", "rm", "auto", "fifo", "rr", "llf"])),
        "migration": draw(st.sampled_from(["partitioned", "global"])),
        "preemptive": draw(st.booleans()),
        "tie": draw(st.sampled_from(["running", "index"])),
        "overrun": draw(st.sampled_from(["continue", "kill", "skip"])),
        "quantum": draw(st.integers(1, 5)),
        "overheads": {kind: draw(cost) for kind in ("scheduler", "context_switch", "migration")},
    } | {key: draw(value) if isinstance(value, st.SearchStrategy) else value for key, value in fixed.items()}
    if options["policy"] == "rr":
        options["preemptive"] = True
    return draw(descriptions(options["cores"])), options


def described(tasks: Tasks, options: Options) -> TaskSet:
    """Return the set as the simulator reads it."""
    result = []
    for task in tasks:
        attributes = {key: value for key, value in task.items() if key not in {"times", "coreoffset"}}
        if options["migration"] == "partitioned":
            attributes |= {"cores": options["cores"], "coreoffset": task["coreoffset"]}
        result.append(attributes | {"executiontime": max(task["times"])})
    return TaskSet(result)


def session_options(tasks: Tasks, options: Options) -> Options:
    result = {key: value for key, value in options.items() if key not in {"quantum", "overheads"}}
    result |= {f"{kind}_ms": cost for kind, cost in options["overheads"].items()}
    if options["policy"] in {"rr", "llf"} and options["preemptive"]:
        result["quantum_ms"] = options["quantum"]
    varying = {task["id"]: task["times"] for task in tasks if len(task["times"]) > 1}
    if varying:
        result["execution"] = {
            number: {"kind": "recording", "values_ms": times, "order": "sequence"} for number, times in varying.items()
        }
    return result
