"""The command `dbrewind`, also as `python -m dbrewind`. It is in the compiled half of the package."""

import signal
import sys


def main() -> int:
    """Run the command line; answers its exit status."""
    from dbrewind._dbrewind import command_main

    # Ctrl-C is the command's business: Python would only take note of it, and wait for the command's end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return command_main(["dbrewind", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
