"""The command line without a broker: help, errors, generate, evaluate."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consumers.cli import app
from consumers.commands.options import stopped_by_signals
from consumers.connect import address_file, announced, find_bootstrap_servers
from consumers.evaluating import read_truth
from stream.broker.memory import MemoryBroker
from stream.config import Settings
from stream.errors import BrokerUnavailable, InputError

COMMANDS = [
    "demo", "worker", "broker", "install", "topics", "topics create", "topics show", "items", "items load",
    "items remove",
    "replay", "generate", "tail", "status", "clusters", "dead-letters", "evaluate", "reset",
]  # fmt: skip
GROUPS = ("topics", "items")
SMALL = [
    "--set", "encoder.model=hashing", "--set", "clustering.k=3", "--set", "clustering.seed_users_per_cluster=2",
    "--set", "clustering.dimensions=8", "--set", "worker.learn_every=300",
]  # fmt: skip

runner = CliRunner()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory without a shoal.toml, and no setting in the environment."""
    for name in [n for n in os.environ if n.startswith("SHOAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def log(elsewhere: Path) -> Path:
    result = runner.invoke(app, ["generate", "log", "--users", "40", "--events", "900"])
    assert result.exit_code == 0, result.output
    return elsewhere / "log"


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_reads_well(command: str) -> None:
    result = runner.invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output
    assert "**" not in result.output, "markup is not rendered"
    if command and command not in GROUPS:
        assert "Example" in result.output


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from typer.testing import CliRunner; from consumers.cli import app;"
        "assert CliRunner().invoke(app, ['worker', '--help']).exit_code == 0;"
        "print([m for m in ('torch', 'numba', 'river', 'scipy', 'polars', 'confluent_kafka', 'numpy')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "kafka.partitions=0", "status"], "kafka.partitions = '0' (the command line): must be"),
        (["--set", "kafka.partition=1", "status"], "did you mean kafka.partitions?"),
        (["--set", "nonsense", "status"], "--set: must be section.key=value"),
        (["--set", "recommending.popular_half_lives=[1,", "status"], "must be JSON"),
        (["--config", "none.toml", "status"], "none.toml"),
        (["status"], "start it with `shoal broker`, or set kafka.bootstrap_servers"),
        (["worker", "--instance", "a b"], "worker.instance"),
        (["generate", "x", "--personas", "1"], "personas = 1: must be from 3"),
        (["evaluate", "none.jsonl"], "none.jsonl"),
        (["evaluate"], "no file of events"),
        (["items", "load", "none.jsonl"], "none.jsonl"),
        (["replay", "none.jsonl", "--mapping", "none.toml"], "none.toml"),
    ],
)
def test_an_error_is_its_text_and_exit_status_1(arguments: list[str], said: str) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1, result.output
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_items_are_removed_by_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = MemoryBroker()
    monkeypatch.setattr("consumers.connect.connected", lambda _: nullcontext(broker))
    result = runner.invoke(app, ["items", "remove", "i-9", "tea & cake"])
    assert result.exit_code == 0, result.output
    assert "2 items are removed in shoal.items" in result.output
    (records,) = broker.reader("shoal.items", "earliest").read_to_end(1.0)
    assert dict(zip(records.keys, records.values, strict=True)) == {b"i-9": None, b"tea & cake": None}
    assert runner.invoke(app, ["items", "remove", ""]).exit_code == 2
    assert runner.invoke(app, ["items", "remove"]).exit_code == 2


def test_an_error_can_be_traced() -> None:
    result = runner.invoke(app, ["--debug", "status"])
    assert isinstance(result.exception, BrokerUnavailable)


def test_an_error_prints_no_control_characters() -> None:
    result = runner.invoke(app, ["evaluate", "\x1b[2J.jsonl"])
    assert result.exit_code == 1
    assert "[2J.jsonl" in result.stderr
    assert "\x1b" not in result.stderr


def test_a_secret_in_a_flag_is_not_printed() -> None:
    result = runner.invoke(app, ["--set", "geheim", "status"])
    assert "geheim" not in result.output
    result = runner.invoke(app, ["--set", 'kafka.librdkafka={"sasl.password": ["geheim"]}', "status"])
    assert result.exit_code == 1
    assert "geheim" not in result.output


def test_flags_stand_over_environment_over_file(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from consumers.commands.options import Options

    (elsewhere / "shoal.toml").write_text('[kafka]\nprefix = "file."\npartitions = 2\ngeneration = 2\n')
    monkeypatch.setenv("SHOAL_KAFKA__PREFIX", "env.")
    monkeypatch.setenv("SHOAL_KAFKA__PARTITIONS", "3")
    found = Options(None, ["kafka.prefix=set."], False).settings(worker__instance="w", worker__linger_ms=None)
    assert (found.kafka.prefix, found.kafka.partitions, found.kafka.generation) == ("set.", 3, 2)
    assert (found.worker.instance, found.worker.linger_ms) == ("w", Settings().worker.linger_ms)


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "nan", "inf"])
def test_a_speed_is_a_number_or_max(speed: str) -> None:
    result = runner.invoke(app, ["replay", "x.jsonl", "--speed", speed])
    assert result.exit_code == 2
    assert "above 0, or max" in " ".join(result.stderr.split())


def evaluate(log: Path, out: str, *arguments: str) -> dict[str, object]:
    files = [
        str(log / "events.jsonl"),
        "--items",
        str(log / "items.jsonl"),
        "--truth",
        str(log / "truth.jsonl"),
    ]
    result = runner.invoke(app, [*SMALL, "evaluate", *files, "--out", out, *arguments])
    assert result.exit_code == 0, result.output
    for word in ("records in", "hit@", "popular", "adjusted Rand", "events/s"):
        assert word in result.output
    return json.loads((Path(out) / "metrics.json").read_bytes())  # type: ignore[no-any-return]


def test_equal_input_gives_equal_metrics(log: Path) -> None:
    first = evaluate(log, "a")
    evaluate(log, "b")
    assert Path("a/metrics.json").read_bytes() == Path("b/metrics.json").read_bytes()
    assert list(first) == sorted(first)
    counts = first["counts"]
    assert isinstance(counts, dict)
    parts = sum(n for name, n in counts.items() if name.startswith(("dropped.", "dead.")))
    assert counts["records"] == 900 == counts["events"] + parts
    run = json.loads(Path("a/run.json").read_bytes())
    assert run["seconds"]["run"] > 0
    assert 'model = "hashing"' in run["settings"]


def test_the_seed_and_the_length_of_lists_reach_the_settings(log: Path) -> None:
    found = evaluate(log, "a", "--k", "5", "--seed", "7")
    assert "hit_rate@5" in json.dumps(found)
    assert "seed = 7" in json.loads(Path("a/run.json").read_bytes())["settings"]


def test_a_part_of_a_log_is_held_against_comparators(log: Path) -> None:
    found = evaluate(log, "a", "--until", "400", "--compare", "repeats, popular")
    assert found["log"]["events"] == 400  # type: ignore[index]
    assert set(found["comparators"]) == {"repeats", "popular"}  # type: ignore[call-overload]
    assert "<svg" in Path("a/report.html").read_text("utf-8")
    result = runner.invoke(app, [*SMALL, "evaluate", str(log / "events.jsonl"), "--compare", "magic"])
    assert result.exit_code == 1
    assert "magic" in result.stderr


def test_parts_can_be_left_out(log: Path) -> None:
    found = evaluate(log, "a", "--until", "300", "--sources", "popular,repeats,trending", "--no-clusters")
    listed = found["sources"]["all"]  # type: ignore[index]
    assert {name for name, one in listed.items() if one["places"]} <= {"popular", "repeats", "catalogue"}
    settings = json.loads(Path("a/run.json").read_bytes())["settings"]
    assert "clusters = false" in settings
    result = runner.invoke(app, [*SMALL, "evaluate", str(log / "events.jsonl"), "--no-magic"])
    assert result.exit_code == 1
    assert "--no-magic" in result.stderr


def test_truth_is_read_in_the_order_of_time(elsewhere: Path) -> None:
    path = elsewhere / "truth.jsonl"
    path.write_text(
        '{"user_id":"a","persona":"late","from_time_ms":9}\n{"user_id":"a","persona":"early","from_time_ms":1}\n'
    )
    assert read_truth(path) == {"a": [(1, "early"), (9, "late")]}
    path.write_text('{"user_id":"a"}\n')
    with pytest.raises(InputError, match="line 1"):
        read_truth(path)


def test_a_broker_that_was_killed_is_not_taken_for_one_that_runs(elsewhere: Path) -> None:
    settings = Settings()
    address_file(settings.embedded).parent.mkdir(parents=True)
    refused = pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1 does not answer")
    with announced(settings.embedded, "127.0.0.1:1"), refused:
        find_bootstrap_servers(settings)
    assert not address_file(settings.embedded).exists()


def test_a_configured_broker_is_taken_as_it_is() -> None:
    settings = Settings.model_validate({"kafka": {"bootstrap_servers": "h:1"}})
    assert find_bootstrap_servers(settings) == "h:1"


def test_the_first_signal_asks_and_the_second_acts() -> None:
    # A background job of a shell is born ignoring it.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with stopped_by_signals() as stop:
            assert not stop.is_set()
            signal.raise_signal(signal.SIGINT)
            assert stop.is_set()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, inherited)
