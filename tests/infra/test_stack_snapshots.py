"""The list of each environment's resources changes only with a line in a review."""

from difflib import unified_diff

import pytest

from tests.infra.snapshot import COMMAND, FOLDER, VARIANTS, lines, path_of


@pytest.mark.parametrize("snapshot", VARIANTS)
def test_an_environment_consists_of_what_its_snapshot_says(snapshot: str) -> None:
    kept = path_of(snapshot).read_text().splitlines()
    difference = unified_diff(kept, lines(snapshot), "snapshot", "stacks", lineterm="", n=0)
    text = "\n".join(difference)
    assert not text, f"\n{text}\n\nIf this is meant, run `{COMMAND}`."


def test_no_snapshot_is_left_over() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == VARIANTS.keys()
