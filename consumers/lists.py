"""The recommendations topic as a subscriber reads it, and how a list looks on a terminal."""

from __future__ import annotations

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from consumers.untrusted import shown
from stream.errors import FormatError

TITLE_WIDTH = 60  # columns; longer titles are cut


class ListedItem(msgspec.Struct, frozen=True):
    """One place of a list."""

    item_id: str
    title: str = ""
    category: str = ""
    score: float = 0.0
    source: str = ""
    reason: str = ""


class ListedCluster(msgspec.Struct, frozen=True):
    """The cluster of the list's user."""

    id: int
    label: str = ""


class UserList(msgspec.Struct, frozen=True):
    """What of a list this package shows; ``docs/schemas/recommendations.schema.json`` has all of it."""

    user_id: str
    list_id: str
    user_seq: int
    items: list[ListedItem]
    cluster: ListedCluster | None = None
    model_version: int = -1


_decode = msgspec.json.Decoder(UserList).decode


def parse_list(value: bytes) -> UserList:
    """Read a record of the recommendations topic. Raises FormatError."""
    try:
        return _decode(value)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not a list of Shoal ({error}): is this the recommendations topic?") from error


def cluster_name(cluster: int | None, label: str) -> str:
    """Say a cluster's label, or its number while it has none.

    Examples
    --------
    >>> cluster_name(3, ""), cluster_name(3, "jazz, vinyl"), cluster_name(None, "")
    ('cluster 3', 'jazz, vinyl', 'no cluster yet')
    """
    if cluster is None:
        return "no cluster yet"
    return label or f"cluster {cluster}"


def headline(listed: UserList, width: int = 40) -> Text:
    """Say whose list it is: user, number, cluster."""
    cluster = listed.cluster
    name = cluster_name(cluster.id, cluster.label) if cluster else cluster_name(None, "")
    return Text.assemble(
        shown(listed.user_id, width, "bold"),
        (f"  #{listed.user_seq}  ", "dim"),
        shown(name, width, "cyan" if cluster else "dim"),
    )


def list_view(listed: UserList, most: int) -> RenderableType:
    """Show a list's first ``most`` items with their titles and reasons."""
    table = Table.grid(padding=(0, 2))
    for _ in range(3):
        table.add_column(no_wrap=True)  # a long title is cut, not wrapped
    for place, item in enumerate(listed.items[:most], start=1):
        table.add_row(
            Text(f"{place:>4}", style="dim"),
            shown(item.title or item.item_id, TITLE_WIDTH),
            shown(item.reason, TITLE_WIDTH, "dim"),
        )
    return Group(headline(listed), table)
