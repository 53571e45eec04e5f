"""The laws that `taskgen check --property` knows, and what each of them needs of a target."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any, Final, Literal, NamedTuple

from taskgen import registry
from taskgen.monitors.stdout import plain_console
from taskgen.session import Capabilities
from taskgen.testing.properties import Law, Scheduling, load, names

_ABLE: Final = Capabilities(
    deterministic=True, trace=True, admission=True, sporadic=True, policies=frozenset({"fp", "edf", "mixed"})
)
#: Of the lines for people, in columns.
_NARROWEST: Final = 40
_WIDEST: Final = 120
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


def law_lines() -> Iterator[str]:
    """Yield a paragraph for each law, as wide as the terminal: what it says, what it needs, where it comes from."""
    width = max(_NARROWEST, min(plain_console().width, _WIDEST))
    for number, name in enumerate(names()):
        law = load(name)
        needs = ", ".join(needs_of(law)) or "no more than START and EXIT"
        if number:
            yield ""
        yield name
        for text in (law.summary, f"needs: {needs}", f"source: {source_of(law)}"):
            yield from textwrap.wrap(
                text, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
            )  # fmt: skip


def laws_document() -> str:
    """Return the laws as one JSON document; `about` is all that is said about each."""
    laws = [(name, load(name)) for name in names()]
    found = [
        {
            "name": name, "summary": law.summary, "needs": needs_of(law), "source": source_of(law),
            "about": " ".join(law.about.split()),
        }
        for name, law in laws
    ]  # fmt: skip
    return json.dumps({"properties": found}) + "\n"
