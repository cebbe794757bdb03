"""The command line ``shoal``: its global options, its commands, and how it says what went wrong."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from consumers.commands import demonstrating, evaluating, feeding, resetting, running, serving_kafka, watching
from consumers.commands.options import Options, console, error_console, options
from consumers.untrusted import plain_lines
from stream.errors import ShoalError


class ShoalGroup(TyperGroup):
    """Runs a command; an error of Shoal's own is its text, on standard error, and exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        """See ``click.Group.invoke``."""
        try:
            return super().invoke(ctx)
        except ShoalError as error:
            if options(ctx).debug:
                raise
            error_console.print(Text(f"Error: {plain_lines(error)}", style="red"), soft_wrap=True)
            raise typer.Exit(1) from error
        except BrokenPipeError:  # `shoal tail | head`: nobody reads any more, which is no error
            raise typer.Exit(0) from None


app = typer.Typer(
    cls=ShoalGroup,
    no_args_is_help=True,
    # The pretty ones show local variables, and so secrets.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    epilog="Start with `shoal demo`. Each command explains itself: `shoal worker --help`",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        console.print(f"shoal {version('shoal')}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings as TOML; ./shoal.toml is read where there is one."),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.KEY=VALUE",
            help="One setting, over the file and SHOAL_ environment variables. May be repeated.",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    show_version: Annotated[  # noqa: ARG001 - its callback has done it
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    """Live user clusters and recommendations from a clickstream on Kafka."""
    context.obj = Options(config, assignments or [], debug)


for module in (demonstrating, running, resetting, serving_kafka, feeding, watching, evaluating):
    module.register(app)
