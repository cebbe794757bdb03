"""``shoal tail``, ``shoal status``, ``shoal clusters``, ``shoal dead-letters``: what comes out."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from consumers.commands.options import console, options, stopped_by_signals

PREVIEW_WIDTH = 60  # columns of a dead letter's value


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    panel = "Watching"
    app.command(
        epilog="Example: `shoal tail --user user-17 --items 5`",
        rich_help_panel=panel,
    )(tail)
    app.command(epilog="Example: `shoal status`", rich_help_panel=panel)(status)
    app.command(epilog="Example: `shoal clusters`", rich_help_panel=panel)(clusters)
    app.command(
        "dead-letters",
        epilog="Example: `shoal dead-letters --reason bad_json`",
        rich_help_panel=panel,
    )(dead_letters)


def tail(
    context: typer.Context,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Lists of this user only.")] = None,
    lists: Annotated[int | None, typer.Option(min=1, help="End after so many lists.")] = None,
    items: Annotated[int, typer.Option(min=1, help="Shown of each list.")] = 5,
    from_beginning: Annotated[
        bool, typer.Option(help="Begin with the lists that are there, not with the next one.")
    ] = False,
) -> None:
    """Follow the recommendations, of one user or of all, until Ctrl-C."""
    from itertools import islice

    from consumers.connect import connected
    from consumers.lists import list_view
    from consumers.tail import follow_lists
    from stream.broker.topics import Topics

    settings = options(context).settings()
    with stopped_by_signals() as stop, connected(settings) as broker:
        start = "earliest" if from_beginning else "latest"
        following = follow_lists(broker, Topics(settings.kafka), stop, start, user)  # type: ignore[arg-type]
        with closing(following):  # type: ignore[type-var]
            for listed in islice(following, lists):
                console.print(list_view(listed, items))


def status(context: typer.Context) -> None:
    """Say what the service has done: records in and out, lag, how its lists were met, clusters."""
    from consumers.connect import connected
    from consumers.status import TallyReader, lag
    from consumers.status_view import status_view
    from stream.broker.topics import Topics

    settings = options(context).settings()
    topics = Topics(settings.kafka)
    with connected(settings) as broker, closing(TallyReader(broker, topics)) as reader:
        tally = reader.catch_up()
        behind = lag(broker.offsets(topics.events.name), tally.positions)
    console.print(status_view(tally, behind, settings.recommending.k))


def clusters(context: typer.Context) -> None:
    """Show the clusters: label, share of the users' activity, most taken items."""
    from consumers.clusters import clusters_view, read_clusters
    from consumers.connect import connected
    from stream.broker.topics import Topics

    settings = options(context).settings()
    with connected(settings) as broker:
        found = read_clusters(broker, Topics(settings.kafka))
    console.print(clusters_view(found))


def dead_letters(
    context: typer.Context,
    reason: Annotated[str | None, typer.Option(metavar="CODE", help="With this reason only.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most recent so many.")] = 20,
) -> None:
    """List the records that could not be taken in, and why."""
    from rich.table import Table

    from consumers.connect import connected
    from consumers.tail import dead_letters as refused
    from consumers.tail import most_recent, preview
    from consumers.untrusted import shown
    from stream.broker.topics import Topics

    settings = options(context).settings()
    with connected(settings) as broker:
        letters = most_recent(refused(broker, Topics(settings.kafka), reason), limit)
    if not letters:
        console.print("no dead letters")
        return
    table = Table("where", "reason", "detail", "value", box=None, padding=(0, 2, 0, 0))
    for letter in letters:
        where = shown(f"{letter.topic}/{letter.partition}/{letter.offset}")
        table.add_row(where, shown(letter.reason), shown(letter.detail), preview(letter, PREVIEW_WIDTH))
    console.print(table)
