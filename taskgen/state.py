"""Where programs keep what they remember between two calls: `TASKGEN_STATE`, or the system's place for state."""

import os
from pathlib import Path


def folder(name: str) -> Path | None:
    """Return the folder of this name inside it, whether it exists or not; None: there is no such place.

    That is inside the folder that TASKGEN_STATE names, or else in `taskgen` where the system keeps the state of
    programs: $XDG_STATE_HOME or ~/.local/state, on Windows %LOCALAPPDATA%.
    """
    if given := os.environ.get("TASKGEN_STATE"):
        return Path(given, name)
    places = {"nt": (("LOCALAPPDATA", "."),)}.get(os.name, (("XDG_STATE_HOME", "."), ("HOME", ".local/state")))
    for variable, inside in places:
        if (base := Path(os.environ.get(variable, ""))).is_absolute():
            return base / inside / "taskgen" / name
    return None
