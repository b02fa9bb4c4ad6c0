"""A small part of `make model`: the smallest model, one removed guard, and the form of the table."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.model.guards import verdicts
from tests.model.models import MODELS, OUTAGE
from tests.model.promela import Translator, guards_of
from tests.model.redundant import REDUNDANT
from tests.model.spin import INSTALL, Verifier, missing_programs
from tests.model.steps import TABLE

MAX_LINES = 200

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    if sentence := missing_programs():
        pytest.skip(sentence)
    return Verifier(OUTAGE, Path(tmp_path_factory.mktemp("model")), optimise="-O0")


def test_every_property_of_the_smallest_model_holds(outage: Verifier) -> None:
    results = [outage.always(number) for number in range(len(OUTAGE.always))]
    assert not any(result.violated for result in results)
    assert min(result.states for result in results) > 100


def test_without_the_schedule_of_messages_an_outage_adds_messages(outage: Verifier) -> None:
    (number,) = [n for n, (name, _) in enumerate(guards_of(OUTAGE)) if name == "after the scheduled message"]
    result = outage.always(removed=[number])
    assert result.violated
    assert list(OUTAGE.always)[result.number] == "an outage adds no message"


def test_a_removed_guard_is_reported_with_what_it_breaks(outage: Verifier) -> None:
    named = {name: (name, text) for name, text in guards_of(OUTAGE)}
    partners = {"order waits": ("it is early only", ("message returns",))}
    with ThreadPoolExecutor(1) as pool:
        chosen = [named[name] for name in ("overdue", "order waits", "planned") if name in named]
        found = {name: text for name, text, _ in verdicts([outage], chosen, partners, pool)}
        assert not any(right for _, _, right in verdicts([outage], [named["order waits"]], {}, pool))
    assert found == {
        "overdue": "outage: an outage parks no order",
        "order waits": "nothing: it is early only; without message returns too: "
        "outage: a message returns a bounded number of times",
    }


def test_the_steps_that_a_search_takes_are_known(outage: Verifier) -> None:
    taken = outage.always().taken
    assert {"accept", "receive", "reserve", "sweep", "park_overdue"} <= taken
    assert not taken & {"come_back", "confirm", "refund", "duplicate"}


def test_guards_have_names_of_their_own() -> None:
    texts: dict[str, str] = {}
    for guard in (guard for model in MODELS for guard in guards_of(model)):
        assert texts.setdefault(*guard) == guard[1]
    assert texts.keys() >= REDUNDANT.keys() | {each for _, partners in REDUNDANT.values() for each in partners}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_model_is_short(model: object) -> None:
    assert len(Translator(model).text().splitlines()) <= MAX_LINES  # type: ignore[arg-type]


def test_every_step_of_the_protocol_is_in_a_model() -> None:
    """Those that are not change nothing that a property reads."""
    modelled = frozenset().union(*(model.steps for model in MODELS))
    assert TABLE.keys() - modelled == {"extend", "give_back", "put_product"}


def test_a_missing_program_is_named() -> None:
    assert "apt-get install spin gcc" in INSTALL
