"""From the bytes of records to columns of events: each is an event, a dead letter or a counted drop.

One JSON message per record, decoded on its own by msgspec. Nothing that stands in a record raises: what
cannot be taken is a dead letter with a reason (``reasons.Reason``), and the rest goes on. Needed are an
action, an item or a text, and a time; an event that has these but no identity says nothing of anybody, and is
a counted drop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from stream.broker.interface import Records
from stream.config import EventSettings
from stream.events import times
from stream.events.batch import DeadLetter, Decoded, EventBatch, InlineItem
from stream.events.parse import Parsed, parse
from stream.events.reasons import Drop, Reason
from stream.events.schema import EventMessage, ItemFields, id_texts
from stream.hashing import action_code, hash_texts

ID_FIELDS = ("event_id", "user_id", "anonymous_id", "item_id", "session_id", "list_id")

_decode_event = msgspec.json.Decoder(EventMessage).decode
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def decode(records: Records, settings: EventSettings, epochs: Mapping[int, int]) -> Decoded:
    """Turn ``records`` into columns.

    ``epochs`` gives each partition's assignment epoch; one that it does not name gets 0, older than any. A
    time is in ``settings.time_unit``; how ``auto`` tells units apart stands in ``stream.events.times``. With
    a negative append time, as of a log that keeps none, no event is in the future.

    Examples
    --------
    >>> value = b'{"user_id": 7, "action": "view", "item_id": "a", "timestamp": 1736150400}'
    >>> one = np.zeros(2, np.int64)
    >>> records = Records("events", one.astype(np.int32), one, one - 1, [None] * 2, [value, b"?"])
    >>> decoded = decode(records, EventSettings(), {0: 1})
    >>> decoded.events.user_id, decoded.events.time, decoded.dead[0].reason.value
    (['7'], array([1736150400000]), 'bad_json')
    """
    parsed = parse(records.values, _decode_event, ID_FIELDS)
    drops = Counter({Drop.TOMBSTONE: len(parsed.tombstones)} if parsed.tombstones else {})
    batch = _columns(records, parsed, settings, epochs)
    sound = np.ones(len(batch), np.bool_)
    for reason, wrong, detail in _faults(batch, settings):
        for i in np.flatnonzero(wrong & sound):
            parsed.dead.append(DeadLetter(parsed.rows[i], reason, detail(parsed.messages[i])))
        sound &= ~wrong
    known = batch.user != 0
    if not known.all():
        drops[Drop.NO_IDENTITY] = int((sound & ~known).sum())
    dead = sorted(parsed.dead, key=lambda letter: letter.row)
    return Decoded(records, batch.select(sound & known), dead, +Counter[str](drops))


def _columns(
    records: Records, parsed: Parsed[EventMessage], settings: EventSettings, epochs: Mapping[int, int]
) -> EventBatch:
    """Put all messages into columns, also those that lack something: 0, None, NaN or a mark stand there."""
    messages = parsed.messages
    rows = np.array(parsed.rows, np.intp)
    partition = records.partition[rows]
    users = id_texts([m.user_id for m in messages])
    if not all(users):
        anonymous = id_texts([m.anonymous_id for m in messages])
        users = [user or other for user, other in zip(users, anonymous, strict=True)]
    items = id_texts([m.item_id for m in messages])
    action, weight = _actions([m.action for m in messages], settings)
    return EventBatch(
        partition=partition,
        offset=records.offset[rows],
        ingest_time=records.timestamp[rows],
        epoch=_epochs(partition, epochs),
        time=times.read_times([m.timestamp for m in messages], settings.time_unit),
        user=hash_texts(users),
        item=_hashes(items),
        action=action,
        weight=weight,
        event_id=_hashes(id_texts([m.event_id for m in messages])),
        session=_hashes(id_texts([m.session_id for m in messages])),
        value=_values([m.value for m in messages]),
        list_id=_hashes(id_texts([m.list_id for m in messages])),
        position=_positions([m.position for m in messages]),
        user_id=users,  # type: ignore[arg-type] # None only where the event is about to be dropped
        item_id=items,
        text=[m.text or None for m in messages],
        inline=[None if m.item is None else _inline(m.item) for m in messages],
    )


def _faults(
    batch: EventBatch, settings: EventSettings
) -> Iterator[tuple[Reason, npt.NDArray[np.bool_], Callable[[EventMessage], str]]]:
    """List what may be wrong: reason, where (n,), what to say of one message. Of several the first counts."""
    yield Reason.NO_ACTION, batch.action == 0, lambda _: "`action` is missing or empty"
    without = batch.item == 0
    if without.any():
        without &= np.array([text is None for text in batch.text], np.bool_)
    yield Reason.NO_ITEM_OR_TEXT, without, lambda _: "neither `item_id` nor `text` says what was touched"
    yield Reason.NO_TIME, batch.time == times.NO_TIME, lambda _: "`timestamp` is missing or empty"
    expected = times.describe(settings.time_unit)
    yield (
        Reason.BAD_TIME,
        batch.time == times.BAD_TIME,
        lambda m: f"`timestamp` is {_short(m.timestamp)}; expected {expected}",
    )
    latest = batch.ingest_time + settings.max_future_skew_ms
    yield (
        Reason.FUTURE,
        (batch.ingest_time >= 0) & (batch.time > latest),
        lambda m: (
            f"`timestamp` {_short(m.timestamp)} is over {settings.max_future_skew_ms} ms past the append time"
        ),
    )
    yield (
        Reason.BAD_FIELD,
        np.isinf(batch.value),
        lambda m: f"`value` is {m.value}; at most {_FLOAT32_MAX:.3g} fits",
    )


def _hashes(texts: list[str | None]) -> npt.NDArray[np.uint64]:
    """Do as ``hash_texts``, at little cost for a column that nobody fills."""
    return hash_texts(texts) if any(texts) else np.zeros(len(texts), np.uint64)


def _actions(
    names: list[str | None], settings: EventSettings
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.float32]]:
    """Give code and weight of each action, (n,) each; case and outer blanks of names do not count."""
    codes, weights = {}, {}
    for raw in set(names):
        name = (raw or "").strip().lower()
        codes[raw] = action_code(name) if name else 0
        weights[raw] = settings.actions.get(name, settings.default_action_weight)
    return (
        np.array([codes[name] for name in names], np.uint16),
        np.array([weights[name] for name in names], np.float32),
    )


def _epochs(partition: npt.NDArray[np.int32], epochs: Mapping[int, int]) -> npt.NDArray[np.int32]:
    table = np.zeros(int(partition.max(initial=-1)) + 1, np.int32)
    for p in np.unique(partition):
        table[p] = epochs.get(int(p), 0)
    return table[partition]


def _values(column: list[float | None]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):  # infinite then, and a fault
        return np.array(column, np.float64).astype(np.float32)  # None becomes NaN


def _positions(column: list[int | None]) -> npt.NDArray[np.int16]:
    return np.array([-1 if x is None else x for x in column], np.int16)


def _inline(item: ItemFields) -> InlineItem:
    return InlineItem(item.title or "", item.category or "", item.description or "", item.brand or "")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
