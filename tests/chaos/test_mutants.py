"""The finder of conditions and what it puts in their place; the run itself is `make chaos-mutants`."""

import ast
from pathlib import Path

import pytest

from tests.chaos.mutants import ALWAYS, NEVER, find_mutants, holds_attributes, module_constants
from tests.chaos.mutation import (
    ROOT,
    Mutant,
    Outcome,
    copied_sources,
    foreign_packages,
    source_folders,
    verdict,
)

ENCODER = Path("shared/src/order_shared/aws/encoding.py")
OF_OPERATORS = {
    Path("operations/src/order_operations/deployments/lock.py"),
    Path("shared/src/order_shared/storage/audit_trail.py"),
}
"""They touch no order, and speak by boto3: test_deploy_lock.py and test_deploy_audit.py take away each of their
conditions."""
ITEMS = Path("shared/src/order_shared/storage/order_items.py")
REPOSITORY = Path("shared/src/order_shared/storage/orders.py")


def found(tmp_path: Path, source: str, **others: str) -> list[Mutant]:
    """The mutants of a module and of the modules beside it."""
    folder = tmp_path / "shared" / "src"
    folder.mkdir(parents=True)
    for name, text in {"module": source, **others}.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return find_mutants(tmp_path)


def shown(mutants: list[Mutant]) -> list[tuple[str, str]]:
    return [("always" if mutant.replacement == ALWAYS else "never", condition_of(mutant)) for mutant in mutants]


def condition_of(mutant: Mutant) -> str:
    return mutant.what.partition("  ")[2].strip()


@pytest.fixture(scope="module")
def real() -> list[Mutant]:
    return find_mutants(ROOT)


def test_each_part_of_a_conjunction_is_found(tmp_path: Path) -> None:
    source = """
def still(order):
    condition = F("id").equals(order.id) & F("status").is_in(["a", "b"])
    condition &= F("lines").size().gt(0)
    return condition
"""
    assert shown(found(tmp_path, source)) == [
        ("always", 'F("id").equals(order.id)'),
        ("always", 'F("status").is_in(["a", "b"])'),
        ("always", 'F("lines").size().gt(0)'),
    ]


def test_an_alternative_is_also_taken_away(tmp_path: Path) -> None:
    source = 'free = F("a").exists()\nfree |= F("b").lt(1)\nother = F("c").exists() | (F("d").gte(2) & F("e").exists())'
    assert shown(found(tmp_path, source)) == [
        ("always", 'F("a").exists()'),
        *(
            (holds, f'F("{rest}')
            for rest in ('b").lt(1)', 'c").exists()', 'd").gte(2)', 'e").exists()')
            for holds in ("always", "never")
        ),
    ]


def test_a_negation_is_taken_away_as_a_whole(tmp_path: Path) -> None:
    assert shown(found(tmp_path, 'held = ~(F("a").exists() & F("b").exists())')) == [
        ("always", '~(F("a").exists() & F("b").exists())')
    ]


def test_conditions_of_attributes_that_constants_hold_are_found(tmp_path: Path) -> None:
    constants = (
        'LEFT = F("left")\nFIELDS = {name: F(name) for name in "ab"}\nPAIR = (F("x"), F("y"))\nKEYS = {"a": 1}\n'
    )
    source = (
        'wanted = LEFT.gte(1) & FIELDS["a"].equals(2) & PAIR[0].exists()\nother = LEFT.set(3), KEYS["a"].equals(1)\n'
    )
    assert shown(found(tmp_path, source, constants=constants)) == [
        ("always", "LEFT.gte(1)"),
        ("always", 'FIELDS["a"].equals(2)'),
        ("always", "PAIR[0].exists()"),
    ]


def test_each_use_of_a_constant_is_found_wherever_it_stands(tmp_path: Path) -> None:
    constants = 'ABSENT: Condition = F("key").does_not_exist()\nFREE = ABSENT\n'
    source = "from constants import FREE\nimport constants\n\ndef put():\n    return constants.ABSENT, FREE\n"
    mutants = found(tmp_path, source, constants=constants)
    assert shown(mutants) == [
        ("always", 'F("key").does_not_exist()'),
        ("always", "ABSENT"),
        ("always", "constants.ABSENT"),
        ("always", "FREE"),
    ]


def test_updates_and_keys_are_no_conditions(tmp_path: Path) -> None:
    source = """
update = F("a").set(1) & F("b").remove() & F("n").change(1)
key = HashKey("h", 1) & RangeKey("r").between(1, 2)
unlike = path.exists()
"""
    assert found(tmp_path, source) == []


def test_a_mutant_changes_its_condition_and_nothing_else(tmp_path: Path) -> None:
    source = 'name = "Grüße"; c = F("ä").equals(\n    "ß",\n) & F("b").exists()  # ö\n'
    first, second = found(tmp_path, source)
    assert condition_of(first) == 'F("ä").equals( "ß", )'
    assert first.applied(source.encode()).decode() == f'name = "Grüße"; c = {ALWAYS} & F("b").exists()  # ö\n'
    assert second.applied(source.encode()).decode() == source.replace('F("b").exists()', ALWAYS)


@pytest.mark.parametrize(
    ("replacement", "expression"),
    [(ALWAYS, "attribute_not_exists(never_stored)"), (NEVER, "attribute_exists(never_stored)")],
)
def test_what_is_put_in_place_is_a_condition(replacement: str, expression: str) -> None:
    assert eval(replacement).debug() == expression  # noqa: S307 - our own constant


def test_every_condition_of_an_order_is_found(real: list[Mutant]) -> None:
    """Whoever adds one extends this list, and sees that a test notices when it is removed."""
    in_items = [condition_of(mutant) for mutant in real if mutant.path == ITEMS]
    assert in_items == [
        "VERSIONS.known()",
        'F("item_version").equals(ITEM_VERSION)',
        "VERSIONS.known(TIMELINE_VERSION)",
        'F("customer_key").does_not_exist()',
        'F("cancel_requested_at").does_not_exist()',
        'F("status").is_in([str(status) for status in sorted(HOLDS_STOCK)])',
        'FIELDS["order_id"].equals(order.order_id)',
        'FIELDS["status"].equals(str(order.status))',
        'FIELDS["fence"].equals(order.fence)',
        "form_condition(order)",
        'FIELDS["lease_owner"].equals(order.lease.owner)',
        "CANCEL_NOT_REQUESTED",
        "STORES_HISTORY",
        "STORES_TIMELINE",
        'FIELDS["parked"].does_not_exist()',
        'FIELDS["parked"].equals(_parked_item(after.parking.parked))',
        'FIELDS["parked"].equals(_parked_item(after.parking.parked))',
        'FIELDS["payment_id"].does_not_exist()',
        'FIELDS["payment_id"].equals(order.payment.id)',
    ]
    in_repository = {condition_of(mutant) for mutant in real if mutant.path == REPOSITORY}
    assert {
        "ORDER_ABSENT",
        "HOLDS_STOCK_STORED",
        "CANCEL_NOT_REQUESTED",
        'F("due_at").equals(entry.due_at)',
    } <= in_repository


def test_each_mutant_of_the_platform_compiles(real: list[Mutant]) -> None:
    for mutant in real:
        ast.parse(mutant.applied((ROOT / mutant.path).read_bytes()))


def test_no_condition_is_written_in_a_way_that_the_finder_cannot_see() -> None:
    seen = {"Condition", "F", "HashKey", "KeyCondition", "RangeKey", "UpdateExpression"}
    seen |= {"Append", "Modify", "SetAction", "Value"}  # of updates, which have no conditions
    for path in (path for folder in source_folders(ROOT) for path in (ROOT / folder).rglob("*.py")):
        if path.relative_to(ROOT) in {ENCODER, *OF_OPERATORS}:
            continue
        source = path.read_text(encoding="utf-8")
        assert "ConditionExpression" not in source, f"{path}: as text, for boto"
        assert "import aiodynamo" not in source, f"{path}: F under another name"
        tree = ast.parse(source)
        nodes = list(ast.walk(tree))
        imports = [
            node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "aiodynamo.expressions"
        ]
        aliases = [alias for node in imports for alias in node.names]
        assert {alias.asname or alias.name for alias in aliases} <= seen, f"{path}: a condition without F"
        kept = sum(is_f(node) for node in nodes) - sum(
            isinstance(node, ast.Attribute) and is_f(node.value) for node in nodes
        )
        constants = [value for _, value in module_constants(tree) if holds_attributes(value)]
        known = sum(is_f(node) for value in constants for node in ast.walk(value))
        assert kept == known, f"{path}: an F(...) that is kept elsewhere than in a constant, and used later"


def is_f(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "F"


def test_the_copy_is_what_is_imported(real: list[Mutant]) -> None:
    with copied_sources(ROOT, real[0]) as copy:
        assert foreign_packages(copy) == []
        assert ALWAYS in (copy / real[0].path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("code", "output", "outcome"),
    [
        (0, "76 passed", Outcome.SURVIVED),
        (1, "FAILED tests/test_a.py::test_b[c] - assert False", Outcome.KILLED),
        (1, "ERROR tests/test_a.py::test_b - the emulator did not start", Outcome.ERROR),
        (2, "ERROR tests/test_a.py - SyntaxError", Outcome.ERROR),
        (5, "no tests ran", Outcome.ERROR),
    ],
)
def test_only_a_failing_test_kills(code: int, output: str, outcome: Outcome) -> None:
    assert verdict(code, output)[0] is outcome
