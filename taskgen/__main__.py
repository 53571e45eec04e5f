"""The entry of the command line: `taskgen`, or `python -m taskgen`."""

import signal
import sys


def main() -> None:
    """Run the command line; Ctrl-C is 130 from the first moment on, and SIGTERM an orderly end."""
    try:
        signal.signal(signal.SIGTERM, _terminate)
        # Late: the imports take long enough to be interrupted.
        from taskgen.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


def _terminate(_signal: int, _frame: object) -> None:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
