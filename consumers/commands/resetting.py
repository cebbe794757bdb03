"""``shoal reset``: process the log again, beside what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from consumers.commands.options import console, options


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: `shoal reset --yes`", rich_help_panel="Running")(reset)


def reset(
    context: typer.Context,
    drop_old: Annotated[
        bool,
        typer.Option(
            "--drop-old", help="Delete the generations before kafka.generation, once it has caught up."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Open a new generation, which processes the log again from its first record, beside the old one.

    Nothing is deleted: the old generation works on until `shoal reset --drop-old`, which is refused before the new one
    has caught up. Asks before it does anything.
    """
    from consumers.connect import connected
    from consumers.resetting import drop, open_generation, plan_dropping, plan_opening

    all_settings = options(context).settings()
    settings = all_settings.kafka
    with connected(all_settings) as broker:
        if drop_old:
            dropping = plan_dropping(broker, settings)
            console.print(
                f"Generation {dropping.keeps} has caught up. Of the generations before it will be deleted:"
            )
            for name in dropping.topics:
                console.print(f"  topic  {name}")
            for name in dropping.groups:
                console.print(f"  group  {name}")
            _confirm("Delete them?", yes)
            drop(broker, dropping)
            console.print("deleted")
            return
        opening = plan_opening(broker, settings)
        new = opening.generation
        console.print(f"Generation {new} will be opened beside {', '.join(map(str, opening.beside))}.")
        for name in opening.creates:
            console.print(f"  creates     topic {name}")
        console.print(f"  will read   {opening.reads} from its beginning: about {opening.records:,} records")
        console.print(f"  will write  {opening.writes}, when it has caught up; a list_id begins with g{new}-")
        console.print("  deletes     nothing")
        _confirm("Open it?", yes)
        open_generation(broker, settings, opening)
        console.print(
            f"opened. Now start workers with kafka.generation = {new}; the old ones may run on meanwhile."
        )
        console.print(
            "When it takes over, which it logs, end the old ones and run `shoal reset --drop-old` with it."
        )


def _confirm(question: str, yes: bool) -> None:
    """Go on only if the user, or ``--yes``, says so; otherwise exit status 1."""
    if not yes:
        typer.confirm(question, abort=True)
