"""The folder that `make up` keeps from one run to the next."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from devstack.kept_data import SAVED_TABLES_FILE, TABLES_FILE, DataOutdated, KeptData


@pytest.fixture
def data(tmp_path: Path) -> KeptData:
    data = KeptData(tmp_path / "data")
    data.open()
    return data


def save(data: KeptData) -> None:
    """Save as the embedded AWS does when it ends."""
    (data.emulator / SAVED_TABLES_FILE).touch()


def change_a_table(data: KeptData) -> None:
    file = data.folder / TABLES_FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), "orders": "another definition"}))


def test_nothing_is_saved_at_first(data: KeptData) -> None:
    assert data.saved_at is None
    save(data)
    assert data.saved_at is not None


def test_data_with_other_tables_is_refused(data: KeptData) -> None:
    save(data)
    change_a_table(data)
    with pytest.raises(DataOutdated, match=r"orders\. Start with empty tables: `make up FRESH=1`"):
        data.open()
    data.remove()
    data.open()
    assert data.saved_at is None


def test_a_new_table_and_unsaved_data_are_no_obstacle(data: KeptData) -> None:
    change_a_table(data)
    data.open()
    save(data)
    file = data.folder / TABLES_FILE
    file.write_text(json.dumps({"orders": json.loads(file.read_text())["orders"]}))
    data.open()


@pytest.mark.parametrize(
    ("kept", "name", "length"),
    [(KeptData.cursor_secret, "cursor-secret", 64), (KeptData.webhook_key, "webhook-key", 44)],
)
def test_a_secret_stays_and_is_readable_by_its_owner_only(
    data: KeptData, kept: Callable[[KeptData], str], name: str, length: int
) -> None:
    secret = kept(data)
    assert len(secret) == length
    assert kept(KeptData(data.folder)) == secret
    assert (data.folder / name).stat().st_mode & 0o777 == 0o600
