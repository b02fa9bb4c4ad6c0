"""The table of what is taken out of keys; the run itself is `python -m tests.chaos.tenant_mutants`."""

import ast
from pathlib import Path

import pytest

from tests.chaos.mutation import ROOT, Mutant, copied_sources, foreign_packages
from tests.chaos.tenant_mutants import SUITE, find_mutants, removal

SOURCE = "def key(tenant):  # Schlüssel\n    return tenant\n\ndef twice(tenant):\n    return tenant, tenant\n"
FILE = Path("module.py")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / FILE).write_text(SOURCE, encoding="utf-8")
    return tmp_path


def applied(mutant: Mutant) -> str:
    return mutant.applied(SOURCE.encode()).decode()


def test_the_table_is_of_the_sources_as_they_are() -> None:
    mutants = find_mutants(ROOT)
    assert len({str(mutant) for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        source = (ROOT / mutant.path).read_bytes()
        assert mutant.applied(source) != source
        ast.parse(mutant.applied(source))


@pytest.mark.parametrize(
    "key", ["a customer", "a reference", "every record", "an order", "a change of stock", "the cursor of orders"]
)
def test_the_customer_is_taken_out_wherever_the_tenant_is(key: str) -> None:
    taken_out = {mutant.what.split()[0] for mutant in find_mutants(ROOT) if mutant.what.endswith(key)}
    assert taken_out == {"tenant", "customer"}


def test_each_edit_changes_its_place_and_nothing_else(root: Path) -> None:
    edits = (("key(tenant)", "key(_)"), ("    return tenant\n\n", '    return "-"\n\n'))
    mutant = removal(FILE, "both", *edits).mutant(root)
    assert applied(mutant) == SOURCE.replace("key(tenant)", "key(_)").replace("return tenant\n\n", 'return "-"\n\n')
    assert str(mutant) == "module.py:1  both"


def test_the_line_is_where_the_first_edit_is(root: Path) -> None:
    assert removal(FILE, "one", ("return tenant, tenant", "return 0")).mutant(root).line == 5


@pytest.mark.parametrize(("old", "times"), [("return tenant", 2), ("return customer", 0)])
def test_what_does_not_stand_there_once_stops_the_run(root: Path, old: str, times: int) -> None:
    with pytest.raises(ValueError, match=f"{times} times"):
        removal(FILE, "it", (old, "")).mutant(root)


def test_the_suite_is_there_and_the_copy_is_what_it_imports() -> None:
    assert all((ROOT / test).is_file() for test in SUITE.arguments)
    mutant: Mutant = find_mutants(ROOT)[0]
    with copied_sources(ROOT, mutant) as copy:
        assert foreign_packages(copy) == []
        assert mutant.replacement in (copy / mutant.path).read_text(encoding="utf-8")
