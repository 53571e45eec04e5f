"""Boards in simulation: the kernel, the taskloader's life cycles as one table, and its admission and optimiser.

`Taskloader` runs a task-set for a session; `Board` takes the commands of a client. `generation` returns the row of a
board generation, `pandaboard` holds the constants measured on a real one.
"""

from sim.boards.board import Board
from sim.boards.generation import Generation, Switches, generation
from sim.boards.taskloader import Taskloader

__all__ = ["Board", "Generation", "Switches", "Taskloader", "generation"]
