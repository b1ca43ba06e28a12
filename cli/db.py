"""``battery-analysis db``: start, stop, look at, back up, restore and bring up to date the database."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from battery_analysis.errors import BatteryAnalysisError
from cli.common import Context, command, new_app, open_store, run
from cli.output import counted, print_facts, print_json, say_written

_FORGOTTEN_SECONDS = 1.0

app = new_app(help="The embedded MongoDB, and backup and restore of any.")


@app.callback()
def _db() -> None:
    """The embedded MongoDB, and backup and restore of any."""


@command(app, "start")
def start(context: Context) -> None:
    """Start the embedded MongoDB. Commands do so by themselves; it stops some minutes after its last user has gone."""
    from battery_analysis.store.server import ensure_running

    settings = context.settings
    if settings.mode != "embedded":
        raise BatteryAnalysisError(f"the settings name another database ({settings.where}); there is nothing to start")
    ensure_running(settings.data_dir)
    _show(context, _status(context))


@command(app, "stop")
def stop(
    context: Context,
    force: Annotated[bool, typer.Option("--force", help="Even while other programs use it.")] = False,
) -> None:
    """Stop the embedded MongoDB cleanly and wait until it has ended."""
    from battery_analysis.store.server import stop as stop_server

    if not force and (users := _users(context.settings.data_dir)):
        who = f"{counted(users, 'other program')} {'is' if users == 1 else 'are'}"
        raise BatteryAnalysisError(f"{who} connected to the database; db stop --force stops it all the same")
    stopped = stop_server(context.settings.data_dir)
    if context.json:
        print_json({"running": False, "stopped": stopped})
    else:
        print("stopped" if stopped else "it was not running")


@command(app, "status")
def status(context: Context) -> None:
    """Say where the database is, whether it runs, and for the embedded one where its log and data are."""
    _show(context, _status(context))


@command(app, "backup")
def backup(
    context: Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; an older backup there is replaced.")],
) -> None:
    """Copy the whole database into FILE, while it is in use."""
    with open_store(context) as store:
        from battery_analysis.store import backup as archive

        _show(context, asdict(archive.backup(store.database, file)))
    say_written(file)


@command(app, "restore")
def restore(
    context: Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup made by 'db backup'.")],
    into: Annotated[
        str | None, typer.Option(metavar="NAME", help="Restore into this database instead of the one in the settings.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace everything that the database holds.")] = False,
) -> None:
    """Fill an empty database from FILE, whose digests are checked before anything is written."""
    with open_store(context) as store:
        from battery_analysis.store import backup as archive

        target = store.database.client[replace(context, db_name=into).settings.database] if into else store.database
        _show(context, asdict(archive.restore(target, file, force=force)))


@command(app, "migrate")
def migrate(context: Context) -> None:
    """Bring a database that an older version filled up to date, and say what was changed; may be run twice."""
    from battery_analysis.store.connection import open_store as open_database
    from battery_analysis.store.migrate import VERSION
    from battery_analysis.store.migrate import migrate as run_steps

    with open_database(context.settings, as_it_is=True) as store:
        done = list(run_steps(store))
    if context.json:
        print_json({"version": VERSION, "changed": {each.name: each.changed for each in done}})
        return
    for each in done:
        if each.changed:
            print(f"{each.changed:>8}  {each.description}")
    changed = any(each.changed for each in done)
    print(f"schema version {VERSION}" if changed else f"nothing to change; schema version {VERSION}")


def _users(data_dir: Path) -> int:
    """Count who is connected; a program that has just ended gets a moment to be forgotten."""
    from battery_analysis.store.server import status as server_status

    end = time.monotonic() + _FORGOTTEN_SECONDS
    while (users := server_status(data_dir).users or 0) and time.monotonic() < end:
        time.sleep(0.1)
    return users


def _status(context: Context) -> dict[str, Any]:
    settings = context.settings
    facts: dict[str, Any] = {"mode": settings.mode, "where": settings.where, "database": settings.database}
    if settings.mode == "embedded":
        from battery_analysis.store.server import status as server_status

        return facts | asdict(server_status(settings.data_dir))
    with open_store(context) as store:
        return facts | {"running": True, "version": store.database.client.server_info()["version"]}


def _show(context: Context, facts: dict[str, Any]) -> None:
    if context.json:
        print_json(facts)
    else:
        print_facts(facts)


if __name__ == "__main__":
    sys.exit(run(app))
