"""The mutants of `make sim-mutants`: found in the sources, each named once, and exempt only with a reason."""

import ast
from pathlib import Path

import pytest

from tests.chaos.mutation import ROOT, Mutant
from tests.simulation.exempt import EXEMPT, NOT_SIMULATED
from tests.simulation.mutants import MODULES, every_mutant, functions


@pytest.fixture(scope="module")
def found() -> list[Mutant]:
    return every_mutant(ROOT)


def test_each_mutant_has_a_name_of_its_own_and_compiles(found: list[Mutant]) -> None:
    assert len({mutant.what for mutant in found}) == len(found) > 200
    for mutant in found[::10]:
        ast.parse(mutant.applied((ROOT / mutant.path).read_bytes()))


def test_every_exemption_fits_a_mutant_and_has_a_reason(found: list[Mutant]) -> None:
    assert EXEMPT.keys() <= {mutant.what for mutant in found}
    named = {f"{path.stem}.{name}" for path in MODULES for name, _ in functions(ast.parse((ROOT / path).read_text()))}
    assert NOT_SIMULATED.keys() <= named
    assert all(len(reason) > 20 for reason in (*EXEMPT.values(), *NOT_SIMULATED.values()))


def test_every_kind_of_place_is_found(found: list[Mutant]) -> None:
    kinds = ("always", "never", "without operand", "dropped", "skipped", "except removed")
    texts = [mutant.what for mutant in found]
    assert all(any(f": {kind}" in text for text in texts) for kind in kinds)
    assert {mutant.path for mutant in found} >= {Path(path) for path in MODULES}
