"""The simulator: a SimPy model of fixed-priority and EDF scheduling in exact integer time."""

from sim.job import Job
from sim.policy import (
    DeadlineMonotonic,
    EarliestDeadlineFirst,
    FixedPriority,
    JobFixedPriority,
    Mixed,
    Policy,
    RateMonotonic,
)
from sim.processor import Processor
from sim.session import SimSession, simulate
from sim.workload import NEVER, PANDABOARD, Program, Workload

__all__ = [
    "NEVER",
    "PANDABOARD",
    "DeadlineMonotonic",
    "EarliestDeadlineFirst",
    "FixedPriority",
    "Job",
    "JobFixedPriority",
    "Mixed",
    "Policy",
    "Processor",
    "Program",
    "RateMonotonic",
    "SimSession",
    "Workload",
    "simulate",
]
