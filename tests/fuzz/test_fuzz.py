"""A small, fixed part of `make fuzz`."""

from pathlib import Path

from tests.fuzz.rounds import fuzzed_stack, run_round


def test_a_round_of_generated_requests_finds_no_fault(tmp_path: Path) -> None:
    with fuzzed_stack(tmp_path) as target:
        done = run_round(target, seed=1, examples=5, folder=tmp_path)
    assert done.holds, done.output
    assert done.cases > 100
