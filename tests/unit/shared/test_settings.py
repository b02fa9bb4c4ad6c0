"""The reader of settings, over every setting of every program."""

from datetime import timedelta
from typing import Any

import pytest
from annotated_types import Ge, Gt, Le, Lt

from order_shared.runtime.config import Settings
from order_shared.runtime.settings import (
    InvalidConfiguration,
    ProgramSettings,
    describe,
    example,
    kind_of,
    load_settings,
    read_settings,
    variables,
)
from tests.configuration import PROGRAMS, own_fields

NOT_A_NUMBER = ("inf", "-inf", "nan", "1_0", "0x10", "10 s", "5m", "1e999", "true", "many", "\u0661")
NOT_TEXT = ("a\nb", "a\tb", "a\x00b", "a\x1b[31mb", "a\u202eb")


def settings() -> list[Any]:
    return [
        pytest.param(kind, name, id=variables(name, field)[0])
        for kind in PROGRAMS
        for name, field in own_fields(kind).items()
    ]


def required(kind: type[ProgramSettings]) -> dict[str, str]:
    """Return right values for the required settings, and an endpoint, which is checked faster than none."""
    fields = kind.model_fields.items()
    local = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"} if issubclass(kind, Settings) else {}
    return local | {variables(name, field)[0]: str(example(field)) for name, field in fields if field.is_required()}


def refusal(kind: type[ProgramSettings], given: dict[str, str]) -> str:
    with pytest.raises(InvalidConfiguration) as ended:
        load_settings(kind, {**required(kind), **given})
    assert ended.value.code == 2
    return str(ended.value)


@pytest.mark.parametrize(("kind", "name"), settings())
class TestEverySetting:
    def test_has_a_right_value_that_is_accepted(self, kind: type[ProgramSettings], name: str) -> None:
        field = kind.model_fields[name]
        right = example(field)
        assert right or not field.is_required()
        if right:
            for variable in variables(name, field):
                load_settings(kind, {**required(kind), variable: f" {right}\r\n"})

    def test_says_what_it_accepts(self, kind: type[ProgramSettings], name: str) -> None:
        assert describe(name, kind.model_fields[name]) != "text" or kind.model_fields[name].annotation in (
            str,
            str | None,
        )

    @pytest.mark.parametrize("blank", ["", " ", "\n", "\t\r\n"])
    def test_is_not_set_if_it_is_blank(self, kind: type[ProgramSettings], name: str, blank: str) -> None:
        field = kind.model_fields[name]
        given = dict.fromkeys(variables(name, field), blank)
        if field.is_required():
            told = refusal(kind, given)
            assert f"  {variables(name, field)[0]}: is not set; it must be " in told
            assert f"such as {example(field)}" in told
        else:
            without = {variable: value for variable, value in required(kind).items() if variable not in given}
            assert read_settings(kind, without | given) == read_settings(kind, without)

    def test_refuses_another_kind_of_value_with_its_name_and_a_right_one(
        self, kind: type[ProgramSettings], name: str
    ) -> None:
        field = kind.model_fields[name]
        variable = variables(name, field)[0]
        numeric = kind_of(field) in (int, float, timedelta)
        for wrong in NOT_A_NUMBER if numeric else NOT_TEXT:
            told = refusal(kind, {variable: wrong})
            assert f"  {variable}: " in told
            assert wrong not in told.replace("1_000", "") or wrong in ("5m", "true")
            if numeric:
                assert f"must be {describe(name, field)}" in told

    def test_has_limits_if_it_is_a_number(self, kind: type[ProgramSettings], name: str) -> None:
        field = kind.model_fields[name]
        if kind_of(field) in (int, float, timedelta):
            limits = {type(each) for each in field.metadata}
            assert limits & {Ge, Gt}
            assert limits & {Le, Lt}

    def test_refuses_a_time_in_milliseconds(self, kind: type[ProgramSettings], name: str) -> None:
        if name.endswith("_seconds"):
            assert "seconds" in refusal(kind, {variables(name, kind.model_fields[name])[0]: "3600001"})


def test_the_message_is_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    kind = next(iter(PROGRAMS))
    told = refusal(kind, {"ORDER_PORT": "many"})
    assert capsys.readouterr().err == f"{told}\n"
    assert told == "invalid configuration:\n  ORDER_PORT: must be a whole number from 0 to 65535, such as 8080"


def test_settings_in_code_read_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = next(iter(PROGRAMS))
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    assert kind.model_validate({"aws_region": "eu-central-1"}).model_dump()["aws_endpoint_url_sqs"] is None
