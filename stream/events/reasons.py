"""Why a record did not become an event: codes in dead letters, metrics and reports that never change."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a record is a dead letter: it is kept with its bytes, can be mended and sent again."""

    BAD_JSON = "bad_json"  # not one JSON text in UTF-8, or nested too deeply to be one of ours
    BAD_FIELD = (
        "bad_field"  # JSON, but not an object, or a field has the wrong type or range; the detail names it
    )
    LONG_ID = "long_id"  # an id is longer than MAX_ID_BYTES
    NO_ACTION = "no_action"
    NO_ITEM_ID = "no_item_id"  # of an item: neither in the value nor in the key
    NO_ITEM_OR_TEXT = "no_item_or_text"
    NO_TIME = "no_time"
    BAD_TIME = "bad_time"  # not a time in the configured unit, or not told apart safely
    PROCESSING_FAILED = (
        "processing_failed"  # an event or an item that can be read, but processing raises on it
    )
    FUTURE = "future"  # further ahead of the log's append time than events.max_future_skew_ms


class Drop(StrEnum):
    """Why a sound record is passed over: it says nothing of a user. Counted, not kept."""

    NO_IDENTITY = "no_identity"
    TOMBSTONE = "tombstone"  # a null value
