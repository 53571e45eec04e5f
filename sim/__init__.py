"""The simulator: SimPy models of real-time scheduling on one or several cores in exact integer time."""

from sim.job import Job
from sim.multicore import Multicore
from sim.policy import (
    DeadlineMonotonic,
    EarliestDeadlineFirst,
    FirstInFirstOut,
    FixedPriority,
    JobFixedPriority,
    LeastLaxity,
    Mixed,
    Policy,
    RateMonotonic,
    RoundRobin,
)
from sim.processor import Processor
from sim.session import SimSession, simulate
from sim.workload import NEVER, PANDABOARD, Program, Workload

__all__ = [
    "NEVER",
    "PANDABOARD",
    "DeadlineMonotonic",
    "EarliestDeadlineFirst",
    "FirstInFirstOut",
    "FixedPriority",
    "Job",
    "JobFixedPriority",
    "LeastLaxity",
    "Mixed",
    "Multicore",
    "Policy",
    "Processor",
    "Program",
    "RateMonotonic",
    "RoundRobin",
    "SimSession",
    "Workload",
    "simulate",
]
