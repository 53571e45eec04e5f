"""What theory says about a task-set before anything runs: bounds, response times, processor demand.

All functions take the validated tasks of one concrete set (`taskgen.parameters.parameters_of`) and one core, and
compute in integer nanoseconds or exact fractions. A task without a known execution time is an error that names it.
Limits of `numberofjobs` and `criticaltime` are ignored, which keeps each bound a bound. A task with period 0 releases
its jobs at once (one, or as many as it has `arrivals`).
"""

from taskgen.analysis.demand import Overload, demand_ns, first_overload, qpa, qpa_steps, synchronous_busy_period_ns
from taskgen.analysis.response_time import (
    busy_period_ns,
    is_schedulable,
    nonpreemptive_response_times,
    response_time_ns,
    response_times,
)
from taskgen.analysis.utilization import (
    edf_bound_holds,
    hyperbolic_bound_holds,
    liu_layland_bound,
    liu_layland_holds,
    utilization,
    wcet_ns,
)

__all__ = [
    "Overload",
    "busy_period_ns",
    "demand_ns",
    "edf_bound_holds",
    "first_overload",
    "hyperbolic_bound_holds",
    "is_schedulable",
    "liu_layland_bound",
    "liu_layland_holds",
    "nonpreemptive_response_times",
    "qpa",
    "qpa_steps",
    "response_time_ns",
    "response_times",
    "synchronous_busy_period_ns",
    "utilization",
    "wcet_ns",
]
