"""``battery-analysis COMMAND``: every command of the project under one name.

Binding imports the command modules; what they work with they import only once they run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from battery_analysis import __version__
from cli import (
    analyse,
    dashboard,
    dataset,
    db,
    demo,
    export,
    formats,
    import_directory,
    normalize,
    plan,
    raw,
    read,
    report,
    reprocess,
    sample,
    schedule,
    search,
    test_result,
    verify,
    watch,
)
from cli.common import new_app, run

app = new_app()


def _show_version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def _battery_analysis(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Battery test data, from raw cycler files to answers."""


for single in (
    import_directory,
    watch,
    schedule,
    verify,
    reprocess,
    search,
    dataset,
    normalize,
    report,
    export,
    read,
    formats,
    dashboard,
    demo,
):
    app.add_typer(single.app)
for name, group in (
    ("analyse", analyse),
    ("plan", plan),
    ("sample", sample),
    ("test", test_result),
    ("raw", raw),
    ("db", db),
):
    app.add_typer(group.app, name=name)


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; without arguments, show what there is."""
    given = list(sys.argv[1:] if args is None else args)
    return run(app, given or ["--help"], name="battery-analysis")


if __name__ == "__main__":
    sys.exit(main())
