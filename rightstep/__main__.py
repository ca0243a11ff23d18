"""The command itself: ``rightstep`` and ``python -m rightstep``."""

import sys

from rightstep.cli.edge import run


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
