"""Policies: AWS refuses a malformed one, and silently ignores an action that does not exist."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache

import regex

from tests.infra.aws.schemas import package
from tests.infra.policies import Statement, statements_in
from tests.infra.synthesis import none, stacks

SID = "[A-Za-z0-9]*"
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html."""


@cache
def services() -> dict[str, dict[str, dict[str, object]]]:
    """Return each service's actions in lower case, as AWS's Service Authorization Reference lists them."""
    found: dict[str, dict[str, dict[str, object]]] = json.loads(
        (package() / "AdditionalSpecs" / "Policies.json").read_text()
    )
    return found


def statements() -> Iterator[Statement]:
    return (statement for stack in stacks() for statement in statements_in(stack))


@cache
def exists(action: str) -> bool:
    service, _, name = action.lower().partition(":")
    return any(fnmatchcase(known, name) for known in services().get(service, {}).get("Actions", {}))


def test_every_action_exists() -> None:
    unknown = {action for statement in statements() for action in statement.actions if not exists(action)}
    none(f"{statement}: {action}" for statement in statements() for action in unknown & set(statement.actions))


def test_an_action_that_does_not_exist_is_found() -> None:
    assert exists("sqs:SendMessage")
    assert exists("kms:ReEncrypt*")
    assert not exists("sqs:SendMesage")
    assert not exists("queue:SendMessage")


def test_sids_are_letters_and_digits() -> None:
    none(f"{statement}: {statement.sid}" for statement in statements() if not regex.fullmatch(SID, statement.sid))
