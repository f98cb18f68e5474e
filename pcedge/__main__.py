"""Start the command line: `pcedge`, or `python -m pcedge`."""

import sys


def main() -> None:
    """Run the command line; an interrupt while it is still being imported ends it like a later one."""
    try:
        from pcedge.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        # A package that is too old may fail anywhere, and its version is what there is to say.
        from pcedge.extras import unfit_core

        if (unfit := unfit_core()) is None:
            raise
        print(f"pcedge: pcedge needs {unfit}", file=sys.stderr)
        sys.exit(3)


if __name__ == "__main__":
    main()
