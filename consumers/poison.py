"""Records that make processing fail: found, refused, and counted, so that one cannot stop a partition."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import structlog

from stream.broker.interface import Records
from stream.clock import Clock
from stream.errors import ProcessingFailed, ShoalError

log = structlog.get_logger()

T = TypeVar("T")
Rows = npt.NDArray[np.intp]
# Runs the pipeline on the given rows of a batch, with dead letters (row -> what was wrong) beside them. When it
# raises, nothing has changed.
Attempt = Callable[[Rows, Mapping[int, str]], T]

# What no record is to blame for: memory, disks and the network; and all that Shoal raises on purpose, which says of a
# broker, an encoder or a setting what is wrong with it.
BLAMELESS = (ShoalError, MemoryError, OSError)
# torch's are RuntimeErrors, on a GPU and on a CPU.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory")
DETAIL_CHARACTERS = 300  # of an error's text in a dead letter: enough to find it again, whatever it quotes


class Poison:
    """Records at fault, of events and of items, counted by where they stood.

    Parameters
    ----------
    limit
        More records than so many within ``window_s`` are no accident: ProcessingFailed.
    window_s
        Seconds.
    clock
        Measures the window.
    """

    def __init__(self, limit: int, window_s: float, clock: Clock) -> None:
        self._limit = limit
        self._window_s = window_s
        self._clock = clock
        self._found: dict[tuple[str, int, int], float] = {}  # when, by topic, partition and offset

    def note(self, records: Records, row: int, failure: Exception) -> str:
        """Count that ``failure`` is the fault of a row of ``records``; give what its dead letter says of it.

        Raises ProcessingFailed where it is one too many.
        """
        # Not with the traceback, whose frames show what people did.
        at = traceback.extract_tb(failure.__traceback__)[-1]
        log.error(
            "processing failed on a record",
            topic=records.topic,
            partition=int(records.partition[row]),
            offset=int(records.offset[row]),
            error=repr(failure),
            at=f"{at.filename}:{at.lineno} {at.name}",
        )
        detail = f"{type(failure).__name__}: {failure}"[:DETAIL_CHARACTERS]
        self.count(records, row, detail, failure)
        return detail

    def count(self, records: Records, row: int, detail: str, failure: Exception | None = None) -> None:
        """Count a row of ``records`` as being at fault, here or, without ``failure``, on another worker.

        Raises ProcessingFailed where it is one too many.
        """
        topic, partition, offset = records.topic, int(records.partition[row]), int(records.offset[row])
        now = self._clock.monotonic()
        self._found = {at: when for at, when in self._found.items() if now - when <= self._window_s}
        # By its place, or a batch that is done again after an abort would count twice.
        self._found[topic, partition, offset] = now
        if len(self._found) > self._limit:
            raise ProcessingFailed(
                f"processing failed on {len(self._found)} records within {self._window_s:g} s, the last of them offset "
                f"{offset} of partition {partition} of {topic} ({detail}). So many "
                "are rarely the records' fault: look at the errors above. If they are, raise worker.max_poison, and "
                "they go to the dead letters"
            ) from failure


class Sifter:
    """Processes batches, without the records at fault, which ``poison`` counts.

    A batch that raises is tried once more, since not every failure repeats. Then the shortest beginning of it that
    raises is sought by halving: its last record is at fault, given what came before. It is refused, and the rest tried.
    """

    def __init__(self, poison: Poison) -> None:
        self._poison = poison

    def sift(self, records: Records, attempt: Attempt[T], undo: Callable[[], None]) -> T:
        """What ``attempt`` gives for ``records`` without those at fault; ``undo`` takes back an attempt that went well.

        Raises ProcessingFailed; and, as it is, what is no record's fault.
        """
        refused: dict[int, str] = {}
        while True:
            rows = np.setdiff1d(np.arange(len(records)), list(refused)).astype(np.intp)
            for _ in range(2):
                try:
                    return attempt(rows, refused)
                except Exception as error:
                    if is_blameless(error):
                        raise
                    failure = error
            row, failure = _first_at_fault(rows, attempt, undo, failure)
            refused[row] = self._poison.note(records, row, failure)


def _first_at_fault(
    rows: Rows, attempt: Attempt[T], undo: Callable[[], None], failure: Exception
) -> tuple[int, Exception]:
    """The last row of the shortest beginning of ``rows`` that raises, and what it raises; ``failure``: that of all."""
    passes, fails = 0, len(rows)
    while fails - passes > 1:
        middle = (passes + fails) // 2
        try:
            attempt(rows[:middle], {})
        except Exception as error:
            if is_blameless(error):
                raise
            fails, failure = middle, error
        else:
            undo()
            passes = middle
    return int(rows[fails - 1]), failure


def is_blameless(error: Exception) -> bool:
    """Whether no record can be at fault for ``error``."""
    text = str(error).lower()
    return isinstance(error, BLAMELESS) or any(words in text for words in OUT_OF_MEMORY)
