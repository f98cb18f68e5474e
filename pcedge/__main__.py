"""Run the command line as `python -m pcedge`."""

from pcedge.cli import main

if __name__ == "__main__":
    main()
