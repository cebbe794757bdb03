"""Log lines: one set-up for structlog and the standard library, and no secrets in either."""

from __future__ import annotations

import io
import json
import logging
import warnings

import numpy as np
import pytest
import structlog
from pydantic import SecretStr

from stream.config import LoggingSettings
from stream.log import REDACTED, clean, configure_logging


@pytest.fixture(autouse=True)
def _as_before():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def set_up(stream=None, **settings):
    stream = stream or io.StringIO()
    configure_logging(LoggingSettings(**settings), stream)
    return stream


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class TestJson:
    def test_both_kinds_of_loggers_give_the_same_fields(self):
        stream = set_up(json=True)
        structlog.get_logger("worker").info("batch done", events=3)
        logging.getLogger("kafka").warning("broker %d away", 1)
        ours, theirs = lines(stream)
        assert ours.pop("timestamp").endswith("Z")
        assert theirs.pop("timestamp").endswith("Z")
        assert ours == {"event": "batch done", "events": 3, "level": "info", "logger": "worker"}
        assert theirs == {"event": "broker 1 away", "level": "warning", "logger": "kafka"}

    def test_an_exception_is_one_line_with_its_traceback(self):
        stream = set_up(json=True)
        for logger in (structlog.get_logger("a"), logging.getLogger("b")):
            try:
                raise ValueError("no such thing")
            except ValueError:
                logger.exception("failed")
        for line in lines(stream):
            assert line["level"] == "error"
            assert "Traceback" in line["exception"]
            assert "no such thing" in line["exception"]

    def test_every_value_becomes_valid_json(self):
        stream = set_up(json=True)
        structlog.get_logger("a").info(
            "odd",
            numpy=np.float32(0.5),
            nan=float("nan"),
            infinite=np.float64("inf"),
            ids={7},
            path=(1, b"x"),
            keys={(1, 2): "pair"},
            surrogate="\ud800",
        )
        (line,) = lines(stream)
        assert "NaN" not in stream.getvalue()
        assert (line["numpy"], line["nan"], line["infinite"], line["ids"]) == (0.5, "nan", "inf", [7])
        assert line["keys"] == {"(1, 2)": "pair"}

    def test_bound_context_is_on_every_line(self):
        stream = set_up(json=True)
        with structlog.contextvars.bound_contextvars(partition=3):
            structlog.get_logger("a").info("one")
            logging.getLogger("b").info("two")
        assert [line["partition"] for line in lines(stream)] == [3, 3]

    def test_python_warnings_are_lines(self):
        stream = set_up(json=True)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)  # catch_warnings has just put the original back
            warnings.warn("careful", stacklevel=1)
        assert "careful" in lines(stream)[0]["event"]


class TestPeople:
    def test_no_colours_where_no_terminal(self):
        stream = set_up()
        structlog.get_logger("worker").info("batch done", events=3)
        assert "\x1b" not in stream.getvalue()
        assert "batch done" in stream.getvalue()
        assert "events=3" in stream.getvalue()

    def test_colours_on_a_terminal_unless_unwanted(self, monkeypatch):
        monkeypatch.delenv("NO_COLOR", raising=False)
        stream = set_up(Terminal())
        structlog.get_logger("a").info("x")
        assert "\x1b" in stream.getvalue()
        monkeypatch.setenv("NO_COLOR", "1")
        stream = set_up(Terminal())
        structlog.get_logger("a").info("x")
        assert "\x1b" not in stream.getvalue()

    def test_a_traceback_shows_no_local_variables(self):
        stream = set_up()
        hidden = "".join(["hun", "ter2"])
        try:
            int(f"{len(hidden)} dogs")
        except ValueError:
            structlog.get_logger("a").exception("failed")
        assert "6" in stream.getvalue() or "7" in stream.getvalue()
        assert "hunter2" not in stream.getvalue()


class TestSetUp:
    @pytest.mark.parametrize(("level", "seen"), [("debug", 3), ("info", 2), ("error", 1)])
    def test_level_holds_for_both(self, level, seen):
        stream = set_up(json=True, level=level)
        for logger in (structlog.get_logger("a"), logging.getLogger("b")):
            logger.debug("x")
            logger.info("x")
            logger.error("x")
        assert len(lines(stream)) == 2 * seen

    def test_called_twice_writes_once_and_where_it_was_told_last(self):
        before = structlog.get_logger("a")
        first, second = set_up(json=True), set_up(json=True)
        before.info("once")
        logging.getLogger("b").info("once")
        assert first.getvalue() == ""
        assert len(lines(second)) == 2

    def test_handlers_of_others_stay(self):
        other = logging.NullHandler()
        logging.getLogger().addHandler(other)
        set_up()
        assert other in logging.getLogger().handlers

    def test_chatty_libraries_are_heard_from_warnings_on(self):
        stream = set_up(json=True, level="debug")
        logging.getLogger("httpx").info("GET")
        logging.getLogger("numba.core.byteflow").debug("block")
        logging.getLogger("httpx").warning("slow")
        assert [line["event"] for line in lines(stream)] == ["slow"]

    def test_standard_error_is_the_default(self, capsys):
        configure_logging(LoggingSettings())
        structlog.get_logger("a").info("hello")
        out, err = capsys.readouterr()
        assert out == ""
        assert "hello" in err


class TestSecrets:
    @pytest.mark.parametrize("json_lines", [True, False])
    def test_no_way_for_one_to_be_written(self, json_lines):
        stream = set_up(json=json_lines)
        secret = "hunter2"
        ours, theirs = structlog.get_logger("a"), logging.getLogger("b")
        ours.info("settings", sasl_password=secret, nested={"deep": [{"client.secret": secret}]})
        ours.info("connecting with sasl.password=%s", secret)
        ours.info("kept", key=SecretStr(secret))
        ours.bind(api_key=secret).warning("bound")
        theirs.warning("sasl.password=%s", secret, extra={"access_token": secret})
        theirs.warning('{"ssl.key.password": "hunter2", "acks": 1}')
        theirs.warning("https://user:hunter2@host/path")
        theirs.warning("Authorization: Bearer hunter2")
        try:
            raise ValueError(f"password: {secret}")
        except ValueError:
            theirs.exception("failed")
        assert secret not in stream.getvalue()
        assert stream.getvalue().count("redacted") >= 8
        assert "user:" in stream.getvalue()

    @pytest.mark.parametrize(
        "key",
        [
            "sasl.password",
            "SASL_PASSWORD",
            "client_secret",
            "ssl.key.pem",
            "ssl_key_password",
            "api-key",
            "token",
            "hf_token",
            "credentials",
            "Authorization",
        ],
    )
    def test_keys_of_secrets(self, key):
        assert clean(None, "info", {key: "x"}) == {key: REDACTED}

    @pytest.mark.parametrize(
        "key",
        [
            "sasl.username",
            "ssl.key.location",
            "tokens",
            "max_tokens",
            "batch_tokens",
            "user_id",
            "key",
            "event",
        ],
    )
    def test_keys_of_others(self, key):
        assert clean(None, "info", {key: "x"}) == {key: "x"}

    @pytest.mark.parametrize(
        ("text", "written"),
        [
            ("sasl.password=x, acks=1", "sasl.password=[redacted], acks=1"),
            ("password = 'a b' user", "password = [redacted] user"),
            (r'{"secret": "a\"b", "n": 1}', '{"secret": [redacted], "n": 1}'),
            ("hf_token=abc", "hf_token=[redacted]"),
            ("bearer abc.def", "bearer [redacted]"),
            ("http://me:pw@host:9092/x", "http://me:[redacted]@host:9092/x"),
            ("host:9092 tokens=128 a passwordless login", "host:9092 tokens=128 a passwordless login"),
        ],
    )
    def test_texts(self, text, written):
        assert clean(None, "info", {"event": text})["event"] == written
