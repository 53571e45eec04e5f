"""`taskgen bench compare`: two stored results, and what changed from one to the other."""

from contextlib import ExitStack
from enum import StrEnum
from typing import Annotated, TypeAlias

import typer

from taskgen.cli import options
from taskgen.cli.run import open_document
from taskgen.document import encode
from taskgen.monitors.stdout import plain_console


class Failing(StrEnum):
    """What makes a comparison fail."""

    worse = "worse"


FailOn: TypeAlias = Annotated[
    Failing | None,
    typer.Option("--fail-on", help="Exit with 1 if anything is worse or newly failing.", show_default=False),
]


def compare(
    before: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="The baseline: a file, or a result of .taskgen/bench: latest~1, a number, a name.",
            show_default=False,
        ),
    ],
    after: Annotated[
        str, typer.Argument(metavar="B", help="What is judged, named in the same way.", show_default=False)
    ],
    fail_on: FailOn = None,
    as_json: options.AsJson = False,
    output: options.Output = None,
    debug: options.Debug = False,
) -> int:
    """Compare two results of `taskgen bench`: B against A.

    Example: taskgen bench compare latest~1 latest

    Example: taskgen bench compare main 12 --fail-on worse

    A metric is worse or better if the samples differ significantly (Mann-Whitney, p < 0.002 after Holm's correction
    over all metrics), the medians by more than 5 %, and by more than the metric's floor. What isn't comparable, such
    as another target or version of a suite, is never compared. Exit code 1: something is worse, with --fail-on worse;
    75: nothing could be compared.
    """
    del debug  # main() looks at it
    from taskgen.bench import document, shelf
    from taskgen.bench.compare import compare as compared
    from taskgen.bench.table import show, summary_line

    paths = [shelf.find(before), shelf.find(after)]
    earlier, later = map(document.read, paths)
    comparison = compared(earlier, later)
    with ExitStack() as stack:
        sink = open_document(stack, output, to_stdout=as_json)
        console = plain_console()
        show(console, later, comparison, baseline=before)
        typer.echo(f"\n{summary_line(comparison)}")
        if sink is not None:
            names = {"baseline": str(paths[0]), "result": str(paths[1])}
            sink.write(encode(comparison.plain() | names) + "\n")
            sink.flush()
    return comparison.exit_code(fail_on_worse=fail_on is Failing.worse)
