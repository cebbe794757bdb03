"""``shoal broker``, ``shoal install``, ``shoal topics``: the Kafka that the rest talks to."""

from __future__ import annotations

from typing import Annotated

import typer

from consumers.commands.options import console, options, stopped_by_signals

# How often a running broker is looked at, in seconds: so late is its death noticed.
LOOK_EVERY = 0.5

topics = typer.Typer(no_args_is_help=True, help="Create and show Shoal's topics.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: `shoal broker --port 9092`", rich_help_panel="Kafka")(broker)
    app.command(epilog="Example: `shoal install`", rich_help_panel="Kafka")(install)
    app.add_typer(topics, name="topics", rich_help_panel="Kafka")


def broker(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="To listen on; 0: any free one.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on. Anything but 127.0.0.1 lets others in without a password."),
    ] = None,
) -> None:
    """Run an Apache Kafka on this machine until Ctrl-C; its data lasts.

    Other commands find it by themselves where kafka.bootstrap_servers is not set.
    """
    from consumers.connect import announced
    from stream.broker.embedded import EmbeddedKafka
    from stream.errors import BrokerUnavailable

    settings = options(context).settings(embedded__port=port, embedded__host=host)
    of = settings.embedded
    with (
        stopped_by_signals() as stop,
        EmbeddedKafka(of.directory, of.host, of.port, of.heap_mb) as kafka,
        announced(of, kafka.bootstrap_servers),
    ):
        console.print(f"Kafka answers at {kafka.bootstrap_servers}; its data is in {of.directory}")
        console.print("Ctrl-C stops it")
        while not stop.wait(LOOK_EVERY):
            if not kafka.running:
                raise BrokerUnavailable(f"Kafka has ended by itself; its log is {kafka.log_file}")


def install(context: typer.Context) -> None:
    """Make ready what is needed later: fetch Kafka's jars, compile the kernels.

    Afterwards nothing needs the network, and the first lists come fast. Doing it again takes a moment.
    """
    from rich.progress import Progress

    from consumers.warming import compile_kernels
    from stream.broker.embedded import install as fetch

    options(context).settings()
    with Progress(console=console, transient=True) as progress:
        jars = progress.add_task("Kafka's jars", total=None)
        paths = fetch(lambda done, total, _name: progress.update(jars, completed=done, total=total))
    console.print(f"Kafka: {len(paths)} jars are there")
    with console.status("compiling kernels"):
        seconds = compile_kernels()
    console.print(f"kernels: compiled, {seconds:.0f} s")


@topics.command("create", epilog="Example: `shoal --set kafka.partitions=8 topics create`")
def create(context: typer.Context) -> None:
    """Create the topics that are missing."""
    from consumers.connect import connected
    from stream.broker.topics import Topics, ensure_topics

    settings = options(context).settings()
    with connected(settings) as found:
        n = ensure_topics(found, Topics(settings.kafka), settings.kafka)
    console.print(f"all topics are there; events has {n} partitions")


@topics.command("show", epilog="Example: `shoal topics show`")
def show(context: typer.Context) -> None:
    """Show the topics: partitions, records, and whether they fit. Exit status 1 where one does not."""
    from consumers.connect import connected
    from consumers.topics import look_at_topics, topics_view

    settings = options(context).settings()
    with connected(settings) as found:
        rows = look_at_topics(found, settings.kafka)
    console.print(topics_view(rows))
    if any(row.partitions is None for row in rows):
        console.print("`shoal topics create` creates those that are missing")
    if any(row.trouble for row in rows):
        raise typer.Exit(1)
