"""Programs of the boards, as the blocks that describe them."""

from collections.abc import Iterable
from typing import Any, Final

from hypothesis import strategies as st

from taskgen.blocks import cond_42, cond_mod, hey, idle, linpack, namaste, pi, tumatmul
from taskgen.strategies.draws import check_whole, draw_whole, names

#: Programs by name: the block of one that takes no argument, the function of one that does. The shortest comes first.
_PROGRAMS: Final[dict[str, Any]] = {
    "hey": hey.HelloWorld,
    "namaste": namaste.HelloWorld,
    "cond_42": cond_42.Value,
    "cond_mod": cond_mod.Value,
    "pi": pi.Value,
    "linpack": linpack.Value,
    "tumatmul": tumatmul.Value,
    "idle": idle.Idle,
}
_ENDING: Final = tuple(name for name in _PROGRAMS if name != "idle")


def blocks(*, programs: Iterable[str] = _ENDING, max_argument: int = 1000) -> st.SearchStrategy[dict[str, Any]]:
    """Blocks of programs: `pkg`, `quota` and `config`, for `Task(block, …)`; how long a job computes follows from them.

    Args:
        programs: names, the simplest first; all that end, unless told. `idle` never does.
        max_argument: the largest `config.arg1` of those that take one, from 1 on.

    Raises:
        UsageError: there is no such program, or no such argument.

    Examples from this strategy shrink towards the first program, and towards argument 1.
    """
    chosen = names("blocks", "programs", programs, tuple(_PROGRAMS))
    check_whole("blocks", "max_argument", max_argument, 1, (1 << 32) - 1)
    return _blocks(chosen, max_argument)


@st.composite
def _blocks(draw: st.DrawFn, programs: tuple[str, ...], max_argument: int) -> dict[str, Any]:
    program = _PROGRAMS[programs[draw_whole(draw, 0, len(programs) - 1)]]
    if callable(program):
        return dict(program(draw_whole(draw, 1, max_argument)))
    return {**program, "config": dict(program["config"])}
