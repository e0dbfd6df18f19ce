"""`python -m proxy` and the `holdfast` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; a wrong interpreter gets one line and no traceback."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the check is for those who start it with an older one
        sys.exit(f"holdfast needs Python 3.11 or newer; this is {sys.version.split()[0]}")
    from proxy.cli.main import cli

    cli(prog_name="holdfast")


if __name__ == "__main__":
    main()
