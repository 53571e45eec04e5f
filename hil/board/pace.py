"""How a board's clock follows the wall: at a factor, or as fast as it can.

Clocks are in integer ns, and a factor is a fraction: `10`, `1.5`, `1/3`.
"""

from fractions import Fraction
from typing import Final

from taskgen.errors import UsageError

#: Nobody can follow a board that runs faster, except one at `max`.
_FASTEST: Final = 1_000_000
_LONGEST_TEXT: Final = 20
MAX: Final = "max"


def speed_of(text: str | float) -> Fraction | None:
    """Return a factor of the wall clock, None for `max`: as fast as possible, time stands still when nothing is due.

    Raises:
        UsageError: it is neither.
    """
    if text == MAX:
        return None
    try:
        if len(str(text)) > _LONGEST_TEXT:
            raise ValueError
        speed = Fraction(str(text))
    except (ValueError, ZeroDivisionError):
        speed = Fraction(0)
    if not 0 < speed <= _FASTEST or speed.denominator > _FASTEST:
        raise UsageError(f"speed: {text!r:.40}, expected max, or a factor above 0 and up to {_FASTEST}, such as 1.0")
    return speed


class Pace:
    """Maps the wall clock to a board's and back, from an instant on at which both were seen."""

    def __init__(self, speed: Fraction, wall_ns: int, board_ns: int) -> None:
        self._speed = speed
        self.meet(wall_ns, board_ns)

    def meet(self, wall_ns: int, board_ns: int) -> None:
        """Begin anew here: the board's clock stood still, or was set."""
        self._wall_ns = wall_ns
        self._board_ns = board_ns

    def board_ns(self, wall_ns: int) -> int:
        """Return what the board's clock should show."""
        return self._board_ns + (wall_ns - self._wall_ns) * self._speed.numerator // self._speed.denominator

    def wall_ns(self, board_ns: int) -> int:
        """Return the first instant of the wall clock at which the board's should show at least this."""
        return self._wall_ns + -(-(board_ns - self._board_ns) * self._speed.denominator // self._speed.numerator)
