"""How a target is: whether it can be trusted with a variant, what it did to deserve that, and what helps.

Two variables, as test farms keep them (LAVA): the *state* is what a target does now, its *health* what is to be
expected of it. Whatever happens to a target is a `Sign`; `TRANSITIONS` says what follows for the health, `Care.remedy`
what to do about it. Nothing here waits, starts threads or asks a clock: `taskgen.distributor.recovery` does what this
module decides.

A target that fails is *unknown* until it is asked; then it is *good* (and gets the next variant) or *bad* (and is
asked again, after a longer rest). One that fails again and again, whether it answers or not, has its power cycled if
the inventory says how: a board that hangs keeps its TCP stack alive, and accepts connections all the same. After too
many failures in a row it is *quarantined* until the next `start`.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class State(StrEnum):
    """What a target does."""

    IDLE = "idle"  #: waits for a variant
    LEASED = "leased"  #: has a variant that doesn't run yet, or is being looked after
    RUNNING = "running"  #: runs a variant


class Health(StrEnum):
    """What is to be expected of a target."""

    UNKNOWN = "unknown"  #: nobody has asked since it failed, or ever
    GOOD = "good"
    BAD = "bad"  #: it doesn't answer
    QUARANTINED = "quarantined"  #: it is left alone until the next `start`


class Sign(StrEnum):
    """What happens to a target."""

    WORKED = "worked"  #: a run came to its end
    FAILED = "failed"  #: an infrastructure error: the target is at fault, or its power can't be switched
    ANSWERED = "answered"  #: the probe found it
    SILENT = "silent"  #: the probe found nobody
    CYCLED = "cycled"  #: its power was off and is on again
    WORN = "worn"  #: too many failures in a row
    BEGUN = "begun"  #: a new `start`


_AWAKE = {
    Sign.WORKED: Health.GOOD,
    Sign.FAILED: Health.UNKNOWN,
    Sign.ANSWERED: Health.GOOD,
    Sign.SILENT: Health.BAD,
    Sign.CYCLED: Health.UNKNOWN,
    Sign.WORN: Health.QUARANTINED,
}

#: What becomes of the health.
TRANSITIONS: Mapping[tuple[Health, Sign], Health] = {
    **{(health, sign): after for health in Health for sign, after in _AWAKE.items()},
    **{(Health.QUARANTINED, sign): Health.QUARANTINED for sign in _AWAKE},  # whatever is heard of it
    (Health.GOOD, Sign.BEGUN): Health.GOOD,
    (Health.UNKNOWN, Sign.BEGUN): Health.UNKNOWN,
    (Health.BAD, Sign.BEGUN): Health.UNKNOWN,  # work was stopped while it was looked after
    (Health.QUARANTINED, Sign.BEGUN): Health.UNKNOWN,
}

_FAILURES = frozenset({Sign.FAILED, Sign.SILENT})


@dataclass(frozen=True, slots=True)
class Condition:
    """The health of a target and what it comes from."""

    health: Health = Health.UNKNOWN
    failures: int = 0  #: in a row, probes without an answer included
    unhelped: int = 0  #: failures in a row since its power was cycled
    total: int = 0  #: failures since the Distributor was made
    reason: str = ""  #: of the last failure

    def after(self, sign: Sign, reason: str = "") -> "Condition":
        """Return the condition after a sign; a failure has a reason."""
        health = TRANSITIONS[self.health, sign]
        if health is self.health and not self.failures and sign is Sign.WORKED:
            return self
        if sign in _FAILURES:
            counts = (self.failures + 1, self.unhelped + 1, self.total + 1)
            return Condition(health, *counts, reason)
        if sign is Sign.WORKED or (sign is Sign.BEGUN and self.health is Health.QUARANTINED):
            return replace(self, health=health, failures=0, unhelped=0)
        return replace(self, health=health, unhelped=0 if sign is Sign.CYCLED else self.unhelped)


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """One row of `Distributor.health`."""

    target: str
    state: State
    health: Health
    failures: int  #: in a row
    total_failures: int
    reason: str  #: of the last failure; empty: there was none


class Remedy(StrEnum):
    """What to do about a target before it gets another variant."""

    NONE = "none"
    PROBE = "probe"  #: let it rest, then ask whether it is there
    CYCLE = "cycle"  #: switch its power off and on again
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Care:
    """How a target is looked after."""

    quarantine_after: int = 5  #: failures in a row
    cycle_after: int = 2  #: failures in a row, and again after as many more
    backoff_s: float = 0.25  #: the first rest after a failure; doubles with each further one
    max_backoff_s: float = 30.0
    probe: str = "connect"  #: see `taskgen.distributor.probes`
    every_s: float | None = None  #: how often a target is probed that has nothing to do

    def remedy(self, condition: Condition, *, switchable: bool) -> Remedy:
        """Return what helps a target in this condition; `switchable`: there is a power driver for it."""
        if condition.health is Health.GOOD:
            return Remedy.NONE
        if condition.failures >= self.quarantine_after:
            return Remedy.QUARANTINE
        if switchable and condition.unhelped >= self.cycle_after:
            return Remedy.CYCLE
        return Remedy.PROBE

    def rest_s(self, failures: int, rng: random.Random) -> float:
        """Return how long to rest after so many failures in a row: exponential, with jitter between half and all."""
        doublings = min(failures - 1, 64)  # 2.0**1024 would overflow
        return min(self.max_backoff_s, self.backoff_s * 2.0**doublings) * rng.uniform(0.5, 1.0)

    def longest_recovery_s(self, probe_s: float, cycle_s: float = 0.0) -> float:
        """Return how long a target may be looked after, in all, before it works again or is quarantined.

        Args:
            probe_s: how long one probe takes at most.
            cycle_s: how long one power cycle takes at most.
        """
        rounds = range(self.quarantine_after - 1)  # each ends with one failure more
        rests = (min(self.max_backoff_s, self.backoff_s * 2.0 ** min(each, 64)) for each in rounds)
        return sum(rests) + len(rounds) * (probe_s + cycle_s)
