"""A small part of `make model`: one model of the log, two removed guards, and the form of the log's table."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.model.guards import verdicts
from tests.model.log.appending import MISTAKE
from tests.model.log.models import LOG_MODELS, NOTIFY
from tests.model.log.promela import LogModel
from tests.model.log.redundant import REDUNDANT
from tests.model.log.steps import TABLE
from tests.model.log.table import NEVER
from tests.model.models import MODELS
from tests.model.promela import guards_of
from tests.model.spin import Verifier, missing_programs
from tests.model.steps import TABLE as TABLE_OF_ORDERS

MAX_LINES = 200

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def notify(tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    if sentence := missing_programs():
        pytest.skip(sentence)
    return Verifier(NOTIFY, Path(tmp_path_factory.mktemp("model")), optimise="-O1")


def test_two_notifiers_append_each_event_once(notify: Verifier) -> None:
    result = notify.always()
    assert not result.violated
    assert result.states > 10_000
    assert not {step.name for step in NOTIFY.table if step.unseen != MISTAKE} - result.taken


def test_a_guard_of_the_log_is_reported_with_what_its_removal_breaks(notify: Verifier) -> None:
    named = dict(guards_of(NOTIFY))
    chosen = [(name, named[name]) for name in ("cursors unchanged", "orders read consistently", "page absent")]
    with ThreadPoolExecutor(1) as pool:
        found = {name: text for name, text, _ in verdicts([notify], chosen, REDUNDANT, pool)}
    assert found == {
        "cursors unchanged": "log_notify: no event is in the log twice",
        "orders read consistently": "log_notify: each change of an order has its event",
        "page absent": f"nothing: {REDUNDANT['page absent'][0]}; "
        "without head unchanged too: log_notify: numbers follow without a gap",
    }


def test_guards_have_names_of_their_own() -> None:
    texts: dict[str, str] = {}
    for guard in (guard for model in (*MODELS, *LOG_MODELS) for guard in guards_of(model)):
        assert texts.setdefault(*guard) == guard[1]
    assert texts.keys() >= REDUNDANT.keys() | {each for _, partners in REDUNDANT.values() for each in partners}


@pytest.mark.parametrize("model", LOG_MODELS, ids=lambda model: model.name)
def test_a_model_is_short(model: LogModel) -> None:
    assert len(model.translator().text().splitlines()) <= MAX_LINES


def test_every_step_of_the_log_is_in_a_model() -> None:
    assert TABLE.keys() == frozenset().union(*(model.steps for model in LOG_MODELS))
    assert not TABLE.keys() & TABLE_OF_ORDERS.keys()


def test_only_mistakes_are_forbidden() -> None:
    forbidden = {step.name for step in TABLE.values() if NEVER in step.guards.values()}
    assert forbidden == {step.name for step in TABLE.values() if step.unseen == MISTAKE}
