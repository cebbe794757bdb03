"""``shoal worker``."""

from __future__ import annotations

from typing import Annotated

import typer

from consumers.commands.options import options, stopped_by_signals


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        epilog="Example: `shoal worker --instance shop-1`",
        rich_help_panel="Running",
    )(worker)


def worker(
    context: typer.Context,
    instance: Annotated[
        str | None,
        typer.Option(help="Name of this worker: stable over restarts, another for each that runs."),
    ] = None,
    until_idle: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="End when no event has come for so long."),
    ] = None,
) -> None:
    """Turn events into recommendations until told to stop.

    Start as many as there are partitions: they share these and the model. SIGTERM and Ctrl-C end a worker
    properly, and nothing is lost or doubled however it ends.
    """
    settings = options(context).settings(worker__instance=instance)
    with stopped_by_signals() as stop:
        from contextlib import closing

        from consumers.connect import connected
        from consumers.worker import Worker
        from stream.clock import SystemClock
        from stream.encoder import make_encoder

        with connected(settings) as broker:
            encoder = make_encoder(settings.encoder)
            with closing(Worker(settings, broker, encoder, SystemClock())) as running:
                running.run(stop, until_idle)
