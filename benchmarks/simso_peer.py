"""The other side of `benchmarks.simso`: runs SimSo in its own environment and talks JSON lines on stdin and stdout.

A request is `{"policy": "fp" | "edf", "tasks": [[C, T], ...], "horizon": H, "jobs": bool}`, all times in microseconds.
The answer holds the time spent in the simulation, wall clock and CPU in seconds, the number of completed jobs, and on
request `[task, job, finish]` of each. SimSo's clock counts whole microseconds: its "ms" is told to have one cycle.
"""

import gc
import json
import sys
import time
from typing import Any

from simso.configuration import Configuration  # type: ignore[import-not-found]  # only in SimSo's environment
from simso.core import Model  # type: ignore[import-not-found]  # only in SimSo's environment

#: The uniprocessor schedulers; RM_mono gives fixed priorities by period.
SCHEDULERS = {"fp": "simso.schedulers.RM_mono", "edf": "simso.schedulers.EDF_mono"}


def model_of(request: dict[str, Any]) -> Any:
    """Build the model of a request."""
    configuration = Configuration()
    configuration.cycles_per_ms = 1
    configuration.duration = request["horizon"]
    for number, (wcet, period) in enumerate(request["tasks"]):
        configuration.add_task(
            name=f"T{number}", identifier=number, period=period, wcet=wcet, deadline=period, abort_on_miss=False
        )
    configuration.add_processor(name="CPU 1", identifier=1)
    configuration.scheduler_info.clas = SCHEDULERS[request["policy"]]
    configuration.check_all()
    return Model(configuration)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Simulate one request, timing nothing but the simulation."""
    model = model_of(request)
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    model.run_model()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    finished = [
        (task.identifier, number, int(job.end_date))
        for task in model.task_list
        for number, job in enumerate(task.jobs)
        if job.end_date is not None
    ]
    return {"cpu_s": cpu, "wall_s": wall, "jobs": len(finished), "finished": finished if request["jobs"] else []}


def main() -> None:
    """Answer requests until the other side hangs up."""
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
