"""``shoal evaluate``: the pipeline over files, without Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from consumers.commands.options import console, error_console, mapping_of, options

Events = Annotated[
    Path | None, typer.Argument(metavar="EVENTS", help="May be left out where the mapping names it.")
]
Items = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The catalogue; with a mapping the log itself, where it says so."),
]
Mapping = Annotated[
    Path | None, typer.Option(metavar="TOML", help="How to read a foreign format. None: JSON lines.")
]
Truth = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Personas of users, as `shoal generate` writes them.")
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="For metrics.json (equal for equal input), run.json and report.html."),
]
Length = Annotated[int | None, typer.Option(min=1, max=255, help="Length of lists.")]
Seed = Annotated[int | None, typer.Option(help="Of all that is drawn.")]
Until = Annotated[
    str | None,
    typer.Option(help="Take only what comes before: a number of events, or a time such as 2025-01-31."),
]
Sources = Annotated[
    str | None, typer.Option(metavar="NAMES", help="Make lists from these alone, such as popular,repeats.")
]
Without = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="A source, clusters or vectors to do without; --no-NAME is the same."),
]
Compare = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help="Measure also popular, repeats, item-knn, bm25, als (the last three: extra compare).",
    ),
]
Sequence = Annotated[
    bool, typer.Option("--sequence", help="Switch the source sequence on, as sequence.enabled does.")
]
Refit = Annotated[int, typer.Option(min=1, help="Times that item-knn, bm25 and als are fitted over the log.")]


class Ablating(TyperCommand):
    """A command that reads ``--no-NAME`` as ``--without NAME``: one flag for each name would fill the help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See ``TyperCommand``."""
        return super().parse_args(ctx, [part for arg in args for part in _spelt_out(arg)])


def _spelt_out(argument: str) -> list[str]:
    return ["--without", argument[5:]] if argument.startswith("--no-") else [argument]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        cls=Ablating,
        epilog="Example: `shoal generate out/`, then "
        "`shoal evaluate out/events.jsonl --items out/items.jsonl --truth out/truth.jsonl`",
        rich_help_panel="Judging",
    )(evaluate)


def evaluate(
    context: typer.Context,
    events: Events = None,
    items: Items = None,
    mapping: Mapping = None,
    truth: Truth = None,
    out: Out = None,
    k: Length = None,
    seed: Seed = None,
    until: Until = None,
    sources: Sources = None,
    without: Without = None,
    sequence: Sequence = False,
    compare: Compare = "",
    refit: Refit = 5,
) -> None:
    """Run the service's own pipeline over a log in files, and say how good its lists and clusters are.

    Every step of a user first meets its lists, then teaches. Nothing is ever scored on what it was learnt from.
    """
    from consumers.ablating import ablation, names_in
    from consumers.evaluating import Inputs, Peers, evaluate_files, write_results
    from consumers.evaluating_view import report_view

    left_out = ablation(sources, without or [])
    settings = options(context).settings(
        recommending__k=k, clustering__seed=seed, sequence__enabled=sequence or None, **left_out
    )
    inputs = Inputs(events, items, mapping_of(mapping), truth, until)
    peers = Peers(names_in(compare), refit)
    done = evaluate_files(settings, inputs, peers, error_console)
    console.print(report_view(done, settings.recommending.k))
    if out is not None:
        written = write_results(out, done, settings)
        console.print(f"written: {', '.join(map(str, written))}")
