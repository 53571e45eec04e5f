"""The laws that `taskgen check --property` knows, and what each of them needs of a target."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any, Final, Literal, NamedTuple

import typer
from rich import box
from rich.table import Table

from taskgen import registry
from taskgen.monitors.stdout import plain_console
from taskgen.session import Capabilities
from taskgen.testing.properties import Law, Scheduling, load, names

_ABLE: Final = Capabilities(
    deterministic=True, trace=True, admission=True, sporadic=True, policies=frozenset({"fp", "edf", "mixed"})
)
_SENTENCE: Final = re.compile(r"\.\s+(?=[A-Z])")


class _Case(NamedTuple):
    capabilities: Capabilities
    scheduling: Scheduling


def _without(**flags: Any) -> Any:
    return lambda case: case._replace(capabilities=replace(case.capabilities, **flags))


def _scheduled(**flags: Any) -> Any:
    return lambda case: case._replace(scheduling=replace(case.scheduling, **flags))


#: What a law that holds for a case needs, if it doesn't apply to the changed case.
_NEEDS: Final[Mapping[str, Any]] = {
    "trace": _without(trace=False),
    "deterministic": _without(deterministic=False),
    "outcomes": _without(outcomes=False),
    "kill": _without(kill=False),
    "admission": _without(admission=False),
    "job limits": _without(job_limits=False),
    "one core": _without(cores=2),
    "preemptive": _scheduled(preemptive=False),
    "no overheads": _scheduled(overheads=True),
    "exact C": _scheduled(execution="unknown"),
}
_COUNTED: Final[Mapping[Literal["releases", "starts"], str]] = {
    "releases": "counts releases",
    "starts": "counts starts (boards)",
}


def needs_of(law: Law) -> list[str]:
    """Return what a target must be able to do, found out by asking the law about targets that can't."""
    case = next((each for each in _cases() if not law.lacks(*each)), None)
    if case is None:
        return ["nothing that is known"]
    found = [name for name, change in _NEEDS.items() if law.lacks(*change(case))]
    if not case.scheduling.preemptive:
        found.append("non-preemptive")
    counted = case.capabilities.job_numbers
    other = "starts" if counted == "releases" else "releases"
    if law.lacks(*_without(job_numbers=other)(case)):
        found.append(_COUNTED[counted])
    policies = [each for each in registry.entries("policies") if not law.lacks(*_scheduled(policy=each)(case))]
    if len(policies) < len(registry.entries("policies")):
        found.append(f"policy {', '.join(policies)}" if len(policies) < len(found) + 4 else "ranks that stay")
    return found


def _cases() -> Iterator[_Case]:
    """Yield targets that can do everything, each in another way."""
    policies = ("auto", *registry.entries("policies"))
    for counted, preemptive, policy in product(_COUNTED, (True, False), policies):
        yield _Case(replace(_ABLE, job_numbers=counted), Scheduling(policy=policy, preemptive=preemptive))


def source_of(law: Law) -> str:
    """Return the theorem, or the line of the protocol, that a law comes from."""
    rest = " ".join(law.about.partition("\n")[2].split())
    return _SENTENCE.split(rest, maxsplit=1)[0].rstrip(".")


def list_laws(*, as_json: bool) -> None:
    """Print all laws: what they need of a target, and where they come from; in JSON what they say, too."""
    rows = [(name, load(name)) for name in names()]
    if as_json:
        found = [
            {"name": name, "summary": law.summary, "needs": needs_of(law), "source": source_of(law)}
            for name, law in rows
        ]
        typer.echo(json.dumps({"properties": found}))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("property", no_wrap=True)
    table.add_column("needs", overflow="fold", ratio=2)
    table.add_column("source", overflow="fold", ratio=3)
    for name, law in rows:
        table.add_row(name, ", ".join(needs_of(law)), source_of(law))
    plain_console().print(table)
