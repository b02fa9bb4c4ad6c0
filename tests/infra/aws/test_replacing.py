"""Checks the table of what replaces a resource against AWS's own list of properties that are fixed at creation."""

from tests.infra.aws.replacing import COMPUTED, CREATE_ONLY, OTHERWISE, REPLACING
from tests.infra.aws.schemas import is_create_only
from tests.infra.aws.values import Value, values
from tests.infra.synthesis import none, stacks


def is_listed(value: Value, arguments: tuple[str, ...]) -> bool:
    return any(f"{value.argument}.".startswith(f"{argument}.") for argument in arguments)


def replaces(value: Value) -> bool:
    return is_listed(value, REPLACING[value.kind][0])


def is_excepted(value: Value) -> bool:
    return is_listed(value, OTHERWISE.get(value.kind, ((), ""))[0])


def test_every_type_has_a_row() -> None:
    assert REPLACING.keys() == {resource.kind for stack in stacks() for resource in stack.resources()}


def test_what_aws_fixes_at_creation_replaces() -> None:
    none(
        f"{value.resource}: {value.argument} is fixed at creation, and no row says so"
        for value in values()
        if is_create_only(value) and not replaces(value) and not is_excepted(value)
    )


def test_a_row_that_cites_the_schema_is_in_it() -> None:
    none(
        f"{value.resource}: {value.argument} can be changed, as the schema has it"
        for value in values()
        if REPLACING[value.kind][1] == CREATE_ONLY and replaces(value) and not is_create_only(value)
    )


def test_no_exception_is_left_over() -> None:
    fixed = {(value.kind, value.argument) for value in values() if is_create_only(value)}
    assert {(kind, argument) for kind, (arguments, _) in OTHERWISE.items() for argument in arguments} <= fixed


def test_no_table_says_what_dynamodb_raises_by_itself() -> None:
    """DynamoDB raises warm throughput with use; a plan that names less replaces the table, or is refused."""
    none(
        f"{value.resource}: {value.argument} = {value.value}"
        for value in values()
        if is_listed(value, COMPUTED.get(value.kind, ((), ""))[0])
    )
