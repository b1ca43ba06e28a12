"""``battery-analysis schedule``: run the imports that the settings schedule."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer

from battery_analysis.errors import IngestError, one_line
from cli.common import Context, command, new_app, open_store, run
from cli.import_run import run_and_end
from cli.output import print_json, print_table
from cli.stopping import finishes_first

if TYPE_CHECKING:
    from battery_analysis.ingest.schedule import Standing

app = new_app()


@command(app, "schedule")
def schedule(
    context: Context,
    what: Annotated[
        Literal["list", "run"] | None,
        typer.Argument(help="list: when each is due and how it went; run: run one now; left out: run what is due."),
    ] = None,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="With run, the import to run.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Run what is due, then end.")] = False,
) -> None:
    """Run the imports that the settings schedule, each at its time, until stopped by Ctrl-C or SIGTERM.

    Exit status: 0 stopped, or all done; 1 with --once or run, some failed; 2 could not start.
    """
    if once and what is not None:
        raise IngestError(f"--once runs what is due; leave out {what}")
    if (name is None) == (what == "run"):
        raise IngestError("a NAME goes with run, and with nothing else: schedule run NAME")
    if not context.settings.schedule:
        raise IngestError("the settings schedule no import; see schedule in the documentation of the settings")
    if what == "list":
        _list(context)
    elif name is not None:
        _run_one(context, name)
    else:
        _run(context, once=once)


def _run_one(context: Context, name: str) -> None:
    from battery_analysis.ingest import schedule as schedules

    chosen = schedules.named(context.settings, name)
    run_and_end(context, lambda store: schedules.begin(store, context.settings, chosen), None, notify=chosen.notify)


def _run(context: Context, *, once: bool) -> None:
    from battery_analysis.ingest.schedule import Scheduler

    def tell(line: str) -> None:
        if not context.json:
            print(one_line(line), flush=True)

    scheduler = Scheduler(context.settings, tell)
    with finishes_first(scheduler.stop):
        scheduler.run(once=once)
    if context.json:
        _list(context)
    if once and scheduler.failed:
        raise typer.Exit(1)


def _list(context: Context) -> None:
    from battery_analysis.ingest.schedule import standings

    with open_store(context):
        rows = [_row(each) for each in standings(context.settings)]
    if context.json:
        print_json(rows)
        return
    zone = context.settings.time_zone
    for row in rows:
        row["next_at"] = f"{row['next_at'].astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"
    columns = {"name": "name", "cron": "cron", "next_at": f"next ({zone})", "root": "root", "started_at": "last (UTC)"}
    print_table(rows, {**columns, "state": "state", "job": "job", "problem": "problem"})


def _row(standing: Standing) -> dict[str, Any]:
    return {
        "name": standing.schedule.name,
        "cron": standing.schedule.cron,
        "root": str(standing.schedule.root),
        "next_at": standing.next_at,
        "started_at": standing.started_at,
        "state": standing.state,
        "job": str(standing.job.id) if standing.job else None,
        "problem": standing.problem,
    }


def main() -> int:
    """Run this command alone and return its exit status."""
    return run(app, name="schedule")


if __name__ == "__main__":
    sys.exit(main())
