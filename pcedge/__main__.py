"""Start the command line: `pcedge`, or `python -m pcedge`."""

import sys


def main() -> None:
    """Run the command line; an interrupt while it is still being imported ends it like a later one."""
    try:
        from pcedge.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
