"""What a program says of itself: structlog, and the standard library's logging through the same processors.

Lines for people on standard error, or one JSON object a line. Secrets are taken out first.
"""

from __future__ import annotations

import logging
import math
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import numpy as np
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from stream.config import LoggingSettings

REDACTED = "[redacted]"

# In a key: whose value may give access. `sasl.username` is shown, as it helps and gives no access by itself.
_SECRET_KEY = re.compile(
    r"password|passwd|secret|credential|api[._-]?key|authorization|private[._-]?key|ssl[._-]key|token$", re.I
)
_SECRET_KEY_EXCEPTIONS = re.compile(r"location$", re.I)  # ssl.key.location is a path
# In a text: `sasl.password=x`, `"client_secret": "x"`, `Bearer x`, `https://user:x@host`.
_SECRET_IN_TEXT = re.compile(
    r"""((?:password|passwd|secret|credentials?|api[._-]?key|(?<![a-z])token)["']?\s*[=:]\s*)"""
    r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^\s,;}\])]+)"""
    r"""|(\bbearer\s+)\S+"""
    r"""|(\b[a-z][a-z0-9+.-]*://[^\s:/@]+:)[^\s/@]+(?=@)""",
    re.I,
)

# Libraries that tell every request or every step of a compilation; at their own warnings only.
CHATTY = ("asyncio", "filelock", "httpcore", "httpx", "huggingface_hub", "numba", "urllib3")


def configure_logging(settings: LoggingSettings, stream: TextIO | None = None) -> None:
    """Send every log line of this process to ``stream`` (standard error). Of several calls the last holds.

    Colours only where ``stream`` is a terminal and ``NO_COLOR`` is not set.
    """
    stream = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), _without_message],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                clean,  # after exceptions have become text
                _renderer(settings, stream),
            ],
        )
    )
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def clean(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Make a log line fit to be written: no secrets, and numbers that JSON can hold.

    Values of keys such as ``sasl.password`` are taken out, and such pairs inside texts.

    Examples
    --------
    >>> clean(None, "info", {"event": "sasl.password=x user=me", "conf": {"secret": "x", "n": np.int64(1)}})
    {'event': 'sasl.password=[redacted] user=me', 'conf': {'secret': '[redacted]', 'n': 1}}
    """
    return {key: _clean(key, value) for key, value in event.items()}


def _without_message(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # Other handlers leave the text on the record when they format it; it is no extra field.
    event.pop("message", None)
    return event


class _Handler(logging.StreamHandler[TextIO]):
    """Shoal's own handler, told from those of others (a test runner's) that stay."""


def _renderer(settings: LoggingSettings, stream: TextIO) -> Processor:
    if settings.json_lines:
        return structlog.processors.JSONRenderer(default=str)
    colours = stream.isatty() and not os.environ.get("NO_COLOR")
    # Plain tracebacks: the rich ones show local variables, and so secrets.
    return structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)


def _clean(key: object, value: Any) -> Any:
    if isinstance(key, str) and _SECRET_KEY.search(key) and not _SECRET_KEY_EXCEPTIONS.search(key):
        return REDACTED
    if isinstance(value, str):
        return _SECRET_IN_TEXT.sub(lambda m: f"{m[1] or m[2] or m[3]}{REDACTED}", value)
    if isinstance(value, np.generic):
        return _clean(key, value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no NaN
    if isinstance(value, Mapping):
        return {str(k): _clean(k, v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(None, v) for v in value]
    return value
