"""Settings from a file, the environment and flags, and what is said when one is wrong."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from stream.config import DEFAULT_ACTIONS, EventSettings, KafkaSettings, Settings, describe, load
from stream.errors import ConfigError


@pytest.fixture
def file(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "shoal.toml"
        path.write_text(text, "utf-8")
        return path

    return write


def complaint(*args, **kwargs) -> str:
    with pytest.raises(ConfigError) as caught:
        load(*args, **kwargs)
    return str(caught.value)


class TestLayers:
    def test_nothing_given_is_the_defaults(self):
        assert load() == Settings()

    def test_each_source_lies_over_the_one_before(self, file):
        path = file('[kafka]\nprefix = "file."\ngeneration = 2\npartitions = 8\n')
        env = {"SHOAL_KAFKA__PREFIX": "env.", "SHOAL_KAFKA__GENERATION": "3"}
        kafka = load(path, env, {"kafka.prefix": "flag."}).kafka
        assert (kafka.prefix, kafka.generation, kafka.partitions) == ("flag.", 3, 8)

    def test_a_flag_that_was_not_given_changes_nothing(self):
        assert load(overrides={"kafka.prefix": None, "clustering.k": 0 or None}) == Settings()

    def test_variables_of_others_are_left_alone(self):
        assert (
            load(env={"PATH": "/bin", "SHOALS": "x", "SHOAL_CACHE": "/c", "SHOAL_SHARED_DATA": "/d"})
            == Settings()
        )

    def test_texts_of_the_environment_become_what_the_setting_is(self):
        settings = load(
            env={
                "SHOAL_CLUSTERING__HALF_LIFE": "1.5",
                "SHOAL_LOGGING__JSON": "true",
                "SHOAL_ENCODER__CACHE": "vectors",
                "SHOAL_RECOMMENDING__EXCLUDE_SEEN": "0",
            }
        )
        assert settings.clustering.half_life == 1.5
        assert settings.logging.json_lines is True
        assert settings.encoder.cache == Path("vectors")
        assert settings.recommending.exclude_seen is False

    def test_flags_may_be_values_of_any_type(self):
        settings = load(
            overrides={"embedded.directory": Path("x"), "clustering.k": 5, "worker.linger_ms": "7"}
        )
        assert (settings.embedded.directory, settings.clustering.k, settings.worker.linger_ms) == (
            Path("x"),
            5,
            7,
        )

    @pytest.mark.parametrize("key", ["encoder.cache", "encoder.revision"])
    def test_an_empty_text_unsets_what_is_optional(self, key, file):
        section, name = key.split(".")
        for settings in (
            load(file(f'[{section}]\n{name} = ""\n')),
            load(env={f"SHOAL_{section}__{name}".upper(): ""}),
            load(overrides={key: ""}),
        ):
            assert getattr(getattr(settings, section), name) is None


class TestTables:
    def test_actions_are_laid_over_the_defaults(self, file):
        path = file("[events.actions]\nview = 0.5\nzap = 0.1\n")
        assert load(path).events.actions == {**DEFAULT_ACTIONS, "view": 0.5, "zap": 0.1}
        assert EventSettings(actions={"zap": 1}).actions == {**DEFAULT_ACTIONS, "zap": 1.0}

    def test_defaults_are_not_shared(self):
        EventSettings().actions["view"] = 9.0
        assert EventSettings().actions["view"] == DEFAULT_ACTIONS["view"] == 0.2

    def test_one_entry_or_json_from_the_environment(self, file):
        path = file("[events.actions]\nview = 0.5\nzap = 0.1\n")
        env = {"SHOAL_EVENTS__ACTIONS": '{"zap": 0.2}', "SHOAL_EVENTS__ACTIONS__VIEW": "0.6"}
        assert load(path, env).events.actions == {**DEFAULT_ACTIONS, "view": 0.6, "zap": 0.2}

    def test_a_whole_section_as_json(self):
        assert load(env={"SHOAL_KAFKA": ' {"prefix": "j.", "partitions": 2}'}).kafka.partitions == 2

    def test_lists_from_a_file_and_as_json(self, file):
        assert load(
            file("[recommending]\npopular_half_lives = [7, 8]\n")
        ).recommending.popular_half_lives == (7, 8)
        assert load(
            env={"SHOAL_RECOMMENDING__POPULAR_HALF_LIVES": "[9]"}
        ).recommending.popular_half_lives == (9,)

    def test_librdkafka_options_in_every_spelling(self, file):
        path = file(
            '[kafka.librdkafka]\nsecurity.protocol = "SSL"\n"socket.timeout.ms" = 1000\n'
            '"enable.x" = true\nlinger = 0.5\n'
        )
        env = {
            "SHOAL_KAFKA__LIBRDKAFKA__SASL_PASSWORD": "pw",
            "SHOAL_KAFKA__LIBRDKAFKA": '{"sasl.username": "me"}',
        }
        options = {k: v.get_secret_value() for k, v in load(path, env).kafka.librdkafka.items()}
        assert options == {
            "security.protocol": "SSL",
            "socket.timeout.ms": "1000",
            "enable.x": "true",
            "linger": "0.5",
            "sasl.password": "pw",
            "sasl.username": "me",
        }

    def test_secrets_may_be_given_as_such(self):
        assert KafkaSettings(librdkafka={"a.b": SecretStr("x")}).librdkafka["a.b"].get_secret_value() == "x"


class TestWrong:
    def test_value_names_key_value_source_and_what_is_allowed(self, file):
        path = file("[clustering]\nk = 0\n")
        allowed = "must be greater than or equal to 1, or must be 'auto'"
        assert complaint(path) == f"clustering.k = 0 (file {path}): {allowed}"
        env = {"SHOAL_EVENTS__TIME_UNIT": "min"}
        assert complaint(env=env) == (
            "events.time_unit = 'min' (environment variable SHOAL_EVENTS__TIME_UNIT): "
            "must be 'auto', 's', 'ms' or 'iso'"
        )
        assert complaint(overrides={"kafka.partitions": "x"}) == (
            "kafka.partitions = 'x' (the command line): must be a valid integer"
        )

    def test_contexts_are_a_power_of_two(self):
        assert complaint(overrides={"recommending.context_rows": 100_000}) == (
            "recommending.context_rows = 100000 (the command line): must be a power of two, such as 65536 or 131072"
        )
        assert load(overrides={"recommending.context_rows": 65_536}).recommending.context_rows == 65_536

    def test_the_source_is_the_one_that_won(self, file):
        text = complaint(file("[clustering]\nk = 4\n"), {"SHOAL_CLUSTERING__K": "-1"})
        assert "SHOAL_CLUSTERING__K" in text
        assert "file" not in text
        assert "command line" in complaint(file('[kafka]\nprefix = "x"\n'), overrides={"kafka": 3})

    def test_everything_wrong_is_said_at_once(self):
        text = complaint(env={"SHOAL_CLUSTERING__K": "0"}, overrides={"kafka.prefix": "a b", "nothing": 1})
        assert len(text.splitlines()) == 3

    @pytest.mark.parametrize(
        ("overrides", "expected"),
        [
            ({"kafka.prefix": "a b"}, "must match pattern"),
            ({"kafka.prefix": 3}, "must be a valid string"),
            ({"kafka": 3}, "kafka (the command line): must be a table"),
            ({"events.actions": 3}, "events.actions = 3 (the command line): must be a table"),
            (
                {"events.actions.view": "much"},
                "events.actions.view = 'much' (the command line): must be a valid number",
            ),
            ({"encoder.cache": 3}, "must be a path"),
            ({"clustering.k": "9" * 999 + "x"}, "999... (the command line)"),
            ({"recommending.popular_half_lives": 3}, "must be a list"),
            ({"clustering.half_life": float("nan")}, "must be a finite number"),
            ({"logging.json": "perhaps"}, "must be a valid boolean"),
        ],
    )
    def test_kinds_of_wrong_values(self, overrides, expected):
        assert expected in complaint(overrides=overrides)

    @pytest.mark.parametrize(
        ("overrides", "meant"),
        [
            ({"clustering.dimenions": 1}, "clustering.dimensions"),
            ({"kafak.prefix": "x"}, "kafka"),
            ({"partitions": 3}, "kafka.partitions"),
            ({"profiles.micro_batch": 3}, "worker.micro_batch"),
            ({"logging.json_lines": True}, "logging.json"),
        ],
    )
    def test_unknown_keys_suggest_the_closest(self, overrides, meant):
        key = next(iter(overrides)).split(".")[0]
        assert re.search(
            rf"{key}.*there is no such setting; did you mean {meant}", complaint(overrides=overrides)
        )

    def test_unknown_keys_like_nothing_suggest_nothing(self):
        assert complaint(overrides={"zzz": 1}) == "zzz (the command line): there is no such setting"

    def test_unknown_variables_are_errors_and_suggest_variables(self):
        text = complaint(env={"SHOAL_KAFKA_PREFIX": "x"})
        assert "environment variable SHOAL_KAFKA_PREFIX" in text
        assert text.endswith("did you mean SHOAL_KAFKA__PREFIX?")

    def test_files_that_cannot_be_read(self, file, tmp_path):
        assert "cannot read the configuration file" in complaint(tmp_path / "none.toml")
        assert "cannot read the configuration file" in complaint(tmp_path)
        assert re.search(r"shoal.toml is not valid TOML: .*line 1", complaint(file("k = \n")))
        path = file("")
        path.write_bytes(b"\xff\xfe")
        assert "is not valid TOML" in complaint(path)

    def test_a_variable_that_is_not_json(self):
        assert "environment variable SHOAL_KAFKA is not valid JSON" in complaint(
            env={"SHOAL_KAFKA": "{prefix"}
        )

    @example({"_": None}, "kafka.librdkafka")
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
        st.sampled_from(
            ["kafka", "kafka.librdkafka", "events.actions", "clustering.k", "encoder.cache", "x.y", ""]
        ),
    )
    def test_whatever_is_given_is_taken_or_a_config_error(self, value, key):
        try:
            assert isinstance(load(overrides={key: value}), Settings)
        except ConfigError as error:
            assert "the command line" in str(error)  # noqa: PT017 - some values are fine


class TestSecrets:
    @pytest.mark.parametrize(
        ("env", "overrides"),
        [
            ({"SHOAL_KAFKA__LIBRDKAFKA": "hunter2"}, {}),
            ({"SHOAL_KAFKA__LIBRDKAFKA": '{"sasl.password": "hunter2"'}, {}),
            ({"SHOAL_KAFKA": "hunter2"}, {}),
            ({"SHOAL_KAFKA__LIBRDKAFKA": '{"sasl.password": ["hunter2"]}'}, {}),
            ({"SHOAL_KAFKA__LIBRDKAFK": '{"sasl.password": "hunter2"}'}, {}),
            ({"SHOAL_SASL_PASSWORD": "hunter2"}, {}),
            ({}, {"kafka": ["hunter2"]}),
            ({}, {"kafka.librdkafka": {"a": ["hunter2"]}}),
        ],
    )
    def test_no_error_shows_one(self, env, overrides):
        with pytest.raises(ConfigError) as caught:
            load(env=env, overrides=overrides)
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))
        assert caught.value.__cause__ is None

    def test_no_error_of_the_file_shows_one(self, file):
        path = file('[kafka.librdkafka]\n"sasl.password" = "hunter2"\n= 3\n')
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))
        assert caught.value.__cause__ is None

    def test_no_error_of_a_section_made_in_code_shows_one(self):
        with pytest.raises(ValueError, match="librdkafka") as caught:
            KafkaSettings(librdkafka={"a": ["hunter2"]})
        assert "hunter2" not in str(caught.value)

    def test_descriptions_mask_them(self):
        settings = load(env={"SHOAL_KAFKA__LIBRDKAFKA__SASL_PASSWORD": "hunter2"})
        assert "hunter2" not in describe(settings) + repr(settings)
        assert '"sasl.password" = "**********"' in describe(settings)


class TestDescribe:
    def test_reads_back_to_the_same(self, file):
        settings = load(
            overrides={
                "encoder.cache": "",
                "encoder.model": 'a "quoted" \\ name\n\x7f 模型',
                "events.actions": {"my action": 0.25, "b": -2},
                "logging.json": True,
                "worker.linger_ms": 0,
            }
        )
        assert load(file(describe(settings))) == settings
        assert load(file(describe(Settings()))) == Settings()

    def test_every_setting_is_there(self):
        text = describe(Settings())
        for name, section in Settings():
            assert f"[{name}]" in text
            for field, info in type(section).model_fields.items():
                assert re.search(rf"^(\[{name}\.)?{info.alias or field}\b", text, re.MULTILINE)
