"""The row of one user: the same bytes in memory and in the changelog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.config import ProfileSettings
from stream.errors import FormatError
from stream.hashing import hash_text
from stream.steps import RECENT

FORMAT = 4  # of the row; a change of the layout is a new number

# Lists before the last one that a row knows, each by half its hash and its variant: an answer may be a few lists late.
# Their items, at 9 bytes a place, would make a row half as long again for what answers seldom ask.
EARLIER = 3

Rows = npt.NDArray[np.void]

# What ``follow_steps`` changes, in its order.
HISTORY_COLUMNS = (
    "history_item",
    "history_time",
    "history_weight",
    "history_count",
    "history_hold",
    "history_gap",
)
PRESENT_COLUMNS = (
    "step_time", "session_item", "steps", "step_size", "step_repeats", "session_steps", "repeats", "basket", "pace",
    "recent_item", "recent_action",
)  # fmt: skip


@dataclass(frozen=True)
class RowLayout:
    """What a row holds, and the values by which a reader knows that it may be read.

    A row is one element of a packed little-endian structured array, so that writing a row to the changelog,
    and reading it back, copies bytes and nothing else. 2.4 KB at 384 dimensions with default settings.
    """

    dimensions: int
    history: int
    event_ids: int
    list_length: int
    encoder: int  # hash of the encoder's id: vectors of different encoders must not be mixed
    generation: int

    @classmethod
    def of(
        cls, settings: ProfileSettings, list_length: int, dimensions: int, encoder_id: str, generation: int
    ) -> RowLayout:
        """Give the layout for these settings and this encoder."""
        return cls(
            dimensions, settings.history, settings.event_ids, list_length, hash_text(encoder_id), generation
        )

    @property
    def dtype(self) -> np.dtype[np.void]:
        """The fields, in order.

        ``vector`` is the mean of what the user touched, sum(w x) / sum(|w|), with decayed weights at
        ``time``; as a mean it cannot overflow float16, whose rounding (5e-4) is far below what separates two
        items. ``history`` is newest first.
        """
        h, k = (self.history,), (self.list_length,)
        return np.dtype(
            [
                ("format", "u1"),
                ("event_next", "u1"),  # where the next event id goes
                ("generation", "<u2"),
                ("encoder", "<u8"),
                ("user", "<u8"),
                ("offset", "<i8"),  # of the last event taken in
                ("time", "<i8"),  # ms, of the newest event
                ("session", "<u8"),
                ("list_id", "<u8"),
                ("list_time", "<i8"),  # ms, when the log took in the event it was made for; 0: no list yet
                ("cluster", "<i8"),  # -1: none
                ("updates", "<i8"),  # the model's clock of updates when the row last changed; -1: never
                ("step_time", "<i8"),  # ms, of the last step
                ("session_item", "<u8"),  # first of the current session, 0: none
                ("events", "<u4"),  # taken in, ever
                ("steps", "<u4"),  # ever
                ("step_size", "<u2"),  # events of the last step
                ("step_repeats", "<u2"),  # of these, with an item that the user knew
                ("session_steps", "<u2"),  # in the current session
                ("repeats", "<f4"),  # share of repeats in a step, summed with decay over steps
                ("basket", "<f4"),  # events in a step, summed likewise
                ("pace", "<f4"),  # log(1 + s) between steps, summed likewise
                ("user_seq", "<u4"),  # lists published, ever
                ("mass", "<f4"),  # sum of |w|, decayed to `time`
                ("taste", "<f4"),  # sum of w, decayed to `time`; above 0: more liked than taken back
                ("history_item", "<u8", h),  # 0: free
                ("history_time", "<u4", h),  # s
                ("history_weight", "<i2", h),  # sum of w in hundredths: integers add up in any order
                ("history_count", "<u2", h),
                ("history_hold", "<u2", h),  # how long it stays out of lists, as ``hold_code`` has it
                (
                    "history_gap",
                    "u1",
                    h,
                ),  # between the two newest events, as ``gap_code`` has it; 0: only one
                (
                    "recent_item",
                    "<u8",
                    (RECENT,),
                ),  # last touched, repetitions included, newest first; 0: free
                ("recent_action", "<u2", (RECENT,)),
                ("event_id", "<u8", (self.event_ids,)),  # 0: free
                ("list_item", "<u8", k),  # last published, 0: free
                ("list_source", "u1", k),
                ("list_variant", "u1"),  # number of its variant
                ("earlier_list", "<u4", (EARLIER,)),  # lower halves of ids, newest first, 0: none
                ("earlier_variant", "u1", (EARLIER,)),
                ("vector", "<f2", (self.dimensions,)),
            ]
        )

    def blank(self, users: npt.NDArray[np.uint64]) -> Rows:
        """Rows of ``users`` (m,) before their first event."""
        rows = np.zeros(len(users), self.dtype)
        rows["format"] = FORMAT
        rows["generation"] = self.generation
        rows["encoder"] = np.uint64(self.encoder)
        rows["user"] = users
        rows["cluster"] = -1
        rows["updates"] = -1
        rows["offset"] = -1
        rows["time"] = np.iinfo(np.int64).min
        return rows

    def decode(self, values: Sequence[bytes]) -> Rows:
        """Rows from changelog values.

        Raises FormatError where a value has another format, size, encoder or generation.
        """
        dtype = self.dtype
        wrong = next((len(v) for v in values if len(v) != dtype.itemsize), None)
        if wrong is not None:
            raise FormatError(
                f"a profile row has {wrong} bytes where this configuration writes {dtype.itemsize}; it was "
                "written with other profiles.*, recommending.k or encoder settings: restore those, or start a new "
                "kafka.generation with `shoal reset`, which keeps the ids of clusters"
            )
        rows = np.frombuffer(b"".join(values), dtype)
        for name, expected in (
            ("format", FORMAT),
            ("generation", self.generation),
            ("encoder", self.encoder),
        ):
            others = rows[name][rows[name] != expected]
            if len(others):
                raise FormatError(
                    f"a profile row was written with another {name} ({others[0]}, not {expected}); "
                    "restore that setting, or start a new kafka.generation with `shoal reset`, which keeps the ids of "
                    "clusters"
                )
        return rows
