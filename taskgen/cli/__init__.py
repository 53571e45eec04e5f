"""The command line: `taskgen run`, `check`, `bench`, `replay`, `list`, and whatever plug-ins add.

This package turns arguments into one call of a core function each, and errors into one line and an exit code:
0 all good; 1 a verdict against the system under test; 2 usage, input, configuration; 70 our bug; 75 no verdict;
130 Ctrl-C.
"""

import contextlib
import functools
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import ParamSpec

import typer

from taskgen import __version__, registry
from taskgen.cli.bench import bench
from taskgen.cli.bench_compare import compare
from taskgen.cli.calibrate import calibrate
from taskgen.cli.check import check
from taskgen.cli.listing import list_names
from taskgen.cli.once import Once, OnceGroup
from taskgen.cli.replay import replay
from taskgen.cli.run import run
from taskgen.errors import TaskgenError, UsageError

P = ParamSpec("P")

EXIT_BUG = 70
EXIT_INTERRUPTED = 130

_CONTEXT = {"help_option_names": ["-h", "--help"]}
#: Enough open files for a sweep over a network, and for as many boards.
_MANY_FILES = 4096

#: What typer raises for wrong arguments, wherever the installed version keeps it.
_ArgumentError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def make_app() -> typer.Typer:
    """Return the command line with all commands, those of plug-ins included."""
    app = typer.Typer(
        name="taskgen",
        help="A testbench for real-time schedulers: describe task-sets, simulate them, run them on boards.",
        epilog="Try: taskgen run -t example.Hey6TaskSet",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings=_CONTEXT,
    )
    app.callback()(_main_options)
    ours: dict[str, Callable[..., int | None]] = {
        "run": run,
        "check": check,
        "replay": replay,
        "list": list_names,
        "calibrate": calibrate,
    }
    for name, command in ours.items():
        app.command(name, cls=Once)(_quiet(command))
    app.add_typer(_bench_app(), name="bench")
    for name in [each for each in registry.entries("commands") if each not in {*ours, "bench"}]:
        _add_plug_in(app, name)
    return app


def _bench_app() -> typer.Typer:
    """Return `bench`, which is a command and has one."""
    app = typer.Typer(cls=OnceGroup, invoke_without_command=True, context_settings=_CONTEXT)
    app.callback(cls=OnceGroup, invoke_without_command=True)(_quiet(bench))
    app.command("compare", cls=Once)(_quiet(compare))
    return app


def _add_plug_in(app: typer.Typer, name: str) -> None:
    """Add a command of a package; a broken one breaks when it is asked for, and nothing else."""
    hint = "the fault is in the package that brings the command"
    try:
        found = registry.load("commands", name)
        if not isinstance(found, typer.Typer):
            raise UsageError(f"command {name!r}: {found!r:.60} is no typer.Typer", hint=hint)
        typer.main.get_group(found)  # what can't become a command says so here
    except UsageError as error:
        broken = error
    except Exception as error:  # noqa: BLE001  # a package's own functions, with parameters of any type
        broken = UsageError(f"command {name!r}: making it failed: {registry.describe(error)}", hint=hint)
    else:
        app.add_typer(found, name=name)
        return

    def fail() -> None:
        raise broken

    everything = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    app.command(name, help=f"Broken: {broken}", context_settings=everything)(fail)


def _version(value: bool) -> None:  # typer calls it so
    if value:
        typer.echo(f"taskgen {__version__}")
        raise typer.Exit


def _main_options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """A testbench for real-time schedulers: describe task-sets, simulate them, run them on boards."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    _prepare_streams()
    _allow_files()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _warn_once()
        code = _run(arguments, debug=bool({"-d", "--debug"} & set(arguments)))
    sys.exit(code)


def _run(arguments: Sequence[str], *, debug: bool) -> int:
    """Return the exit code; nothing but that, and lines on stderr, comes out of an error."""
    try:
        code = make_app()(args=list(arguments), prog_name="taskgen", standalone_mode=False)
        sys.stdout.flush()
    except TaskgenError as error:
        return _report(str(error), error.hint, error.exit_code, debug=debug)
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except _ArgumentError as error:
        message = _message(error)  # empty where typer has shown the help instead
        # typer tells which command it was about
        command = getattr(getattr(error, "ctx", None), "command_path", "taskgen")
        return _report(message, f"see `{command} --help`", 2, debug=debug) if message else 2
    except BrokenPipeError:
        _silence_stdout()
        return 0
    except OSError as error:
        _silence_stdout()
        return _report(f"can't write: {error.strerror or error}", "look at the disk and the place", 2, debug=debug)
    except Exception as error:  # noqa: BLE001  # the last resort: our bug, in one line
        hint = "this is a bug in taskgen; run it again with --debug for the traceback"
        return _report(f"internal error: {registry.describe(error)}", hint, EXIT_BUG, debug=debug)
    return code if isinstance(code, int) else 0


def _quiet(command: Callable[P, int | None]) -> Callable[P, int | None]:
    """Let a command end quietly when nobody reads its output any more; typer would exit with 1."""

    @functools.wraps(command)
    def run_quietly(*args: P.args, **kwargs: P.kwargs) -> int | None:
        code: int | None = 0
        try:
            code = command(*args, **kwargs)
            sys.stdout.flush()
        except BrokenPipeError:
            _silence_stdout()
        return code

    return run_quietly


def _message(error: Exception) -> str:
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    return " ".join(text.split())


def _report(message: str, hint: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    lines = [f"error: {' '.join(message.split())}"] + [f"hint: {hint}"] * bool(hint)
    sys.stderr.write("\n".join(lines) + "\n")
    return code


def _warn_once() -> Callable[..., None]:
    """Return what shows warnings: each text once, however many variants it concerns."""
    seen: set[str] = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in seen:
            seen.add(str(message))
            sys.stderr.write(f"warning: {message}\n")

    return show


def _prepare_streams() -> None:
    """Make sure that there are streams, and that no character of a description can break them."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123  # open until the end
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _allow_files() -> None:
    """Raise the number of files that this process may have open: discovery may use half of it, and wants 800."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows; a limit that can't be raised stays
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, _MANY_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _silence_stdout() -> None:
    """Whoever read our output has gone: let nothing complain when the interpreter flushes."""
    with contextlib.suppress(OSError, ValueError):  # a stream that is no file has nothing to silence
        number = sys.stdout.fileno()
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, number)
        os.close(devnull)
