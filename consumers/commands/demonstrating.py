"""``shoal demo``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from consumers.commands.feeding import parse_speed
from consumers.commands.options import console, options, stopped_by_signals

if TYPE_CHECKING:
    from stream.config import Settings

# Seconds that the feed takes when no speed is given: long enough to see clusters form and users move.
FEED_S = 40.0
DAY_S = 86_400


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        epilog="Examples: `shoal demo`, `shoal demo --events 100000 --users 5000 --speed max`",
        rich_help_panel="Start here",
    )(demo)


def demo(
    context: typer.Context,
    events: Annotated[int, typer.Option(min=1, help="To feed; for ever, those of one month.")] = 20_000,
    users: Annotated[int, typer.Option(min=1, help="Whose they are.")] = 400,
    items: Annotated[int, typer.Option(min=48, help="In the catalogue.")] = 300,
    days: Annotated[int, typer.Option(min=1, help="That the log spans.")] = 30,
    speed: Annotated[
        str | None,
        typer.Option(metavar="N|max", help=f"Multiple of event time. None: all in {FEED_S:.0f} seconds."),
    ] = None,
    forever: Annotated[
        bool, typer.Option("--forever", help="Go on, month after month, until Ctrl-C.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the log.")] = 0,
) -> None:
    """See all of it work, in a minute.

    Starts an Apache Kafka, generates a log of users with known tastes, feeds it, runs a worker, and shows what
    comes out. Leaves nothing running and no files. With kafka.bootstrap_servers set it uses that Kafka, under
    names of its own.
    """
    pace = days * DAY_S / FEED_S if speed is None else parse_speed(speed)
    settings = options(context).settings()
    if "level" not in settings.logging.model_fields_set:
        quietly(settings)
    with stopped_by_signals() as stop:
        from consumers.demo.run import DemoPlan, run_demo
        from producers.synthetic import SyntheticSettings

        log = SyntheticSettings(users=users, items=items, events=events, days=days, seed=seed)
        run_demo(settings, DemoPlan(log, pace, forever), console, stop)


def quietly(settings: Settings) -> None:
    """Log errors alone: what a client says while its broker is still starting would tear the screen."""
    from stream.log import configure_logging

    configure_logging(settings.logging.model_copy(update={"level": "error"}))
