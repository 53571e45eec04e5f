"""Targets as users write them: `sim`, `sim:PROFILE`, any registered session, an address of a board.

`parse` makes one `Target` of one text, `expand` a list of whatever a Distributor is given: the place for whatever
stands for several targets.
"""

import difflib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

from taskgen import registry
from taskgen.errors import UsageError
from taskgen.session import Target

#: The session that runs task-sets on boards, found by address.
BOARD_SESSION = "taskloader"

_HOST = re.compile(r"(localhost|[\w-]+(\.[\w-]+)+\.?|[\w.-]+(?=:\d))(:\d+)?", re.ASCII)
_NUMERIC = re.compile(r"[\d.]+(/\d*)?(:\d*)?", re.ASCII)
_PORT = re.compile(r"(?P<host>\[.*\]|[^:]*)(:\d+)?")


def parse(text: str, session: str | None = None, options: Mapping[str, Any] | None = None) -> Target:
    """Return the target that a text stands for; with a `session`, the text is an address for it.

    Raises:
        UsageError: there is no such target; proposes the nearest names.
    """
    options = dict(options or {})
    text = text.strip()
    if session is not None:
        return Target(session, "" if text == session else text.removeprefix(f"{session}:"), options)
    known = registry.entries("sessions")
    name, colon, address = text.partition(":")
    if text in known:
        return Target(text, "", options)
    if name in known:
        if not address:
            raise UsageError(f"target {text!r}: nothing follows the colon", hint=f"leave the colon out: {name}")
        return Target(name, address, options)
    if is_address(text):
        if BOARD_SESSION not in known:
            raise UsageError(
                f"target {text!r}: boards come with the session {BOARD_SESSION}, which isn't installed",
                hint="run it on the simulator: the target is sim",
            )
        return Target(BOARD_SESSION, text, options)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    raise UsageError(
        f"there is no target {text!r}",
        hint=f"did you mean {near[0]}{colon}{address}?" if near
        else f"use sim, or a board's address with the session {BOARD_SESSION}",
    )  # fmt: skip


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address, a CIDR range or a host's name, with or without port.

    Raises:
        UsageError: it looks like an IP address, but is none.
    """
    match = _PORT.fullmatch(text)
    host = match["host"].strip("[]") if match else text
    try:
        ipaddress.ip_network(host, strict=False)
    except ValueError as error:
        if _NUMERIC.fullmatch(text):
            raise UsageError(f"target {text!r}: is no IP address: {error}") from None
        return _HOST.fullmatch(text) is not None
    return True


def expand(
    target: str | Target | Iterable[str | Target],
    *,
    session: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[Target]:
    """Return the targets that a Distributor is given; `session` and `options` are for those given as text.

    Raises:
        UsageError: there is no target, or one of them is unknown.
    """
    given = [target] if isinstance(target, str | Target) else list(target)
    if not given:
        raise UsageError("there is no target to run on", hint="use sim")
    return [each if isinstance(each, Target) else parse(each, session, options) for each in given]
