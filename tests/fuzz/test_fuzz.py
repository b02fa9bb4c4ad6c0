"""A small, fixed part of `make fuzz`, and what it does with a fault."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.failing import commands_in, keep, replay
from tests.fuzz.hooks import broken_rules
from tests.fuzz.rounds import Target, fuzzed_stack, run_round


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with fuzzed_stack(tmp_path_factory.mktemp("fuzzed")) as started:
        yield started


def test_a_round_of_generated_requests_finds_no_fault(target: Target, tmp_path: Path) -> None:
    done = run_round(target, seed=1, examples=5, folder=tmp_path)
    assert done.holds, done.output
    assert done.cases > 100


def test_a_seed_repeats_itself(target: Target, tmp_path: Path) -> None:
    records = []
    for name in ("first", "second"):
        (folder := tmp_path / name).mkdir()
        run_round(target, seed=1, examples=3, folder=folder, phases="examples,fuzzing")
        lines = (folder / "1.jsonl").read_text("utf-8").splitlines()
        records.append([request for _, _, *request in map(json.loads, lines)])
    assert len(records[0]) > 30
    assert records[0] == records[1]


REPORT = """
Reproduce with:

    curl -X GET -H 'Authorization: Bearer t.o-k' 'http://127.0.0.1:1/v1/orders?q=%0A'

    st replay abc

    curl -X POST -H 'Authorization: Bearer t.o-k' -d '{"a": "
"}' http://127.0.0.1:1/v1/orders

    st replay def
"""


def test_a_failing_request_is_kept_and_sent_again(target: Target, tmp_path: Path) -> None:
    files = keep(7, commands_in(REPORT, "http://127.0.0.1:1", "t.o-k"), tmp_path / "kept")
    assert [path.name for path in files] == ["seed-7-1.sh", "seed-7-2.sh"]
    answers = [replay(path, target.api, target.token) for path in files]
    assert [answer.split()[1] for answer in answers] == ["400", "415"]
    assert all("127.0.0.1" not in path.read_text() and "t.o-k" not in path.read_text() for path in files)


@pytest.mark.parametrize(
    ("query", "body", "broken"),
    [
        ({}, {"lines": [{"sku": "A", "quantity": 1}], "reference": "PO-1"}, False),
        ({"created_at[gte]": "2026-01-01T00:00:00Z", "created_at[lt]": "2026-01-01T00:00:00Z"}, None, False),
        ({"cursor": "made-up"}, None, True),
        ({"after": "made-up"}, None, True),
        ({"after": "latest"}, None, False),
        ({"created_at[gte]": "2026-01-02T00:00:00Z", "created_at[lt]": "2026-01-01T00:00:00Z"}, None, True),
        ({"created_at[lt]": "0262-01-01T00:00:00Z"}, None, True),
        ({}, {"since": "0120-06-01T07:12:58+22:56"}, True),
        ({}, {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, True),
        ({}, {"since": "2026-01-01T00:00:00Z", "until": None}, False),
        ({"q": "\u200e"}, None, True),
        ({}, {"lines": [], "reference": " "}, True),
        ({}, {"lines": [], "metadata": {"note": ""}}, False),
        ({}, {"lines": [], "metadata": {"note": "\u200e"}}, True),
        ({}, {"lines": [], "metadata": {f"k{number}": "x" * 500 for number in range(8)}}, False),
        ({}, {"lines": [], "metadata": {f"k{number}": "\u00e9" * 300 for number in range(8)}}, True),
        ({}, {"lines": [{"sku": "A", "quantity": 600}] * 2}, True),
        ({}, {"lines": [{"sku": f"A{number}", "quantity": 1} for number in range(51)]}, True),
    ],
)
def test_a_refusal_needs_a_reason(query: dict[str, str], body: object, broken: bool) -> None:  # noqa: FBT001
    assert bool(broken_rules(query, body)) is broken
