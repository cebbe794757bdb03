"""``shoal items``, ``shoal replay``, ``shoal generate``: what goes in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from consumers.commands.options import console, mapping_of, options

Mapping = Annotated[
    Path | None,
    typer.Option(metavar="TOML", help="How to read a foreign format; examples/ has some. None: JSON lines."),
]
File = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="May be left out where the mapping names it.")
]

items = typer.Typer(no_args_is_help=True, help="The catalogue.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(items, name="items", rich_help_panel="Feeding")
    app.command(
        epilog="Example: `shoal replay events.jsonl --speed 3600` (an hour of the log a second)",
        rich_help_panel="Feeding",
    )(replay)
    app.command(
        epilog="Example: `shoal generate out/ --events 300000 --users 20000`",
        rich_help_panel="Feeding",
    )(generate)


def parse_speed(text: str) -> float | None:
    """Read a multiple of event time; ``max``, which is None, is as fast as possible.

    >>> parse_speed("max"), parse_speed("60")
    (None, 60.0)
    """
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise typer.BadParameter(f"{text!r}: must be a number above 0, or max")
    return speed


@items.command("load", epilog="Example: `shoal items load items.jsonl`")
def load(context: typer.Context, file: File = None, mapping: Mapping = None) -> None:
    """Write a catalogue into the items topic. Loading again replaces what is there of the same ids."""
    from consumers.connect import connected
    from producers.items import load_items
    from stream.broker.topics import Topics, ensure_topics
    from stream.events.files import read_items

    settings = options(context).settings()
    catalogue = read_items(file, mapping_of(mapping))
    topics = Topics(settings.kafka)
    with connected(settings) as broker, closing(broker.publisher()) as publisher:
        ensure_topics(broker, topics, settings.kafka)
        with _progress("items", len(catalogue)) as advance:
            n = load_items(publisher, topics.items.name, catalogue, advance)
    console.print(f"{n:,} items are in {topics.items.name}")


@items.command("remove", epilog="Example: `shoal items remove i-9 i-12`")
def remove(
    context: typer.Context,
    item_ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="As events and the catalogue have them.")
    ],
) -> None:
    """Take items out of the catalogue: they are not listed any more, until an entry of them is loaded again."""
    from consumers.connect import connected
    from producers.items import remove_items
    from stream.broker.topics import Topics, ensure_topics

    if not all(item_ids):
        raise typer.BadParameter("an id is empty")
    settings = options(context).settings()
    topics = Topics(settings.kafka)
    with connected(settings) as broker, closing(broker.publisher()) as publisher:
        ensure_topics(broker, topics, settings.kafka)
        n = remove_items(publisher, topics.items.name, item_ids)
    console.print(f"{n:,} items are removed in {topics.items.name}")


def replay(
    context: typer.Context,
    file: File = None,
    mapping: Mapping = None,
    speed: Annotated[
        str,
        typer.Option(
            metavar="N|max",
            help="Multiple of event time, or as fast as possible.",
        ),
    ] = "max",
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Remember here how far it came; a later replay goes on from there."
        ),
    ] = None,
) -> None:
    """Write a historical log into the events topic."""
    from consumers.connect import connected
    from producers import replay as replaying
    from stream.broker.topics import Topics, ensure_topics
    from stream.clock import SystemClock
    from stream.events.files import read_events

    pace = parse_speed(speed)
    settings = options(context).settings()
    skipped: Counter[str] = Counter()
    events = read_events(file, mapping_of(mapping), skipped, settings.events.time_unit)
    topics = Topics(settings.kafka)
    with connected(settings) as broker, closing(broker.publisher()) as publisher:
        ensure_topics(broker, topics, settings.kafka)
        with _progress("events", None) as advance:
            sent = replaying.replay(
                publisher,
                topics.events.name,
                events,
                clock=SystemClock(),
                speed=pace,
                checkpoint=checkpoint,
                broker=broker,
                on_progress=lambda position, _time: advance(position),
            )
    console.print(f"{sent:,} events are in {topics.events.name}")
    for reason, n in sorted((+skipped).items()):
        console.print(f"{n:,} left out by the mapping: {reason}")


def generate(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="For events.jsonl, items.jsonl, truth.jsonl.")
    ],
    users: Annotated[int, typer.Option(help="The population; who is never active does not appear.")] = 400,
    catalogue: Annotated[int, typer.Option("--items", help="At least 48, one of each topic.")] = 300,
    events: Annotated[int, typer.Option(help="How many.")] = 20_000,
    days: Annotated[int, typer.Option(help="That the log spans.")] = 30,
    personas: Annotated[int, typer.Option(help="Tastes that users have.")] = 14,
    drift: Annotated[float, typer.Option(help="Share of users who change their persona once.")] = 0.15,
    shift_day: Annotated[
        float | None, typer.Option(help="On this day a new persona appears abruptly.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same log, everywhere.")] = 0,
    compress: Annotated[bool, typer.Option("--gzip", help="Compress the events.")] = False,
) -> None:
    """Generate a log of users with known tastes, with its catalogue and the truth beside it."""
    from producers.synthetic import SyntheticLog, SyntheticSettings

    options(context).settings()
    of = SyntheticSettings(
        users=users,
        items=catalogue,
        events=events,
        days=days,
        personas=personas,
        drift=drift,
        shift_day=shift_day,
        seed=seed,
    )
    SyntheticLog(of).write(directory, compress=compress)
    console.print(f"{events:,} events of {users:,} users over {catalogue:,} items are in {directory}")


@contextmanager
def _progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error while this lasts; the function given hears how many are done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from consumers.commands.options import error_console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=error_console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
