"""Feature environments go with their branches, and only then."""

import json

import pytest

from infra.environments import PLACEHOLDER_DOMAIN
from infra.operate.features import environment_of_branch
from orderctl import terminal
from tests.infra.conftest import BUCKET, HOME, Desk, stacks_named

STACKS = [f"{kind}-{HOME}" for kind in ("order-notifier", "order-processor", "order-api", "supporting")]


@pytest.fixture
def crowded(desk: Desk) -> Desk:
    """dev, prod, and two feature environments; a third is gone but for its empty state."""
    desk.stand(*stacks_named("dev"), *stacks_named("prod"), *stacks_named("feat-login"), *stacks_named("feat-old"))
    for stack in stacks_named("feat-gone"):
        desk.keep(stack.key, {"resources": []})
    desk.keep(f"feat-old/{HOME}/order-api.tfstate.tflock", {"ID": "a lock"})
    return desk


def doomed(desk: Desk) -> list[str]:
    """The environments that Terraform has destroyed something of."""
    folders = (desk.context.root / ".local" / "infra").glob("*")
    return sorted(folder.name for folder in folders)


def test_without_branches_it_lists(crowded: Desk) -> None:
    result = crowded.run("gc")
    assert result.exit_code == 0
    listed = [line.split()[0] for line in result.stdout.splitlines()]
    assert listed == ["feat-login", "feat-old"]
    assert crowded.calls() == []


@pytest.mark.parametrize(
    "keep",
    [
        ("--keep", "main", "--keep", "feat-login"),
        ("--keep", "main feat-login"),
        ("--keep", "main\nfeat-login\n"),
    ],
)
def test_those_without_a_branch_are_destroyed(crowded: Desk, keep: tuple[str, ...]) -> None:
    result = crowded.run("gc", "--yes", *keep)
    assert result.exit_code == 0, result.output
    assert doomed(crowded) == ["feat-old"]
    assert crowded.applied() == STACKS
    assert "feat-login" in result.stdout
    assert "kept: " in result.stdout


def test_a_branch_keeps_its_own_environment_only(desk: Desk) -> None:
    kept, other = environment_of_branch("feat/login"), environment_of_branch("feat_login")
    desk.stand(*stacks_named(kept), *stacks_named(other))
    result = desk.run("gc", "--dry-run", "--output", "json", "--keep", "main feat/login")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == [other]
    assert f"{kept}" in result.stderr
    assert desk.calls() == []


def test_one_of_them_is_destroyed_alone(crowded: Desk) -> None:
    assert crowded.run("gc", "--yes", "--keep", "main", "--env", "feat-old").exit_code == 0
    assert doomed(crowded) == ["feat-old"]
    assert crowded.run("gc", "--yes", "--keep", "main feat-login", "--env", "feat-login").exit_code == 0
    assert doomed(crowded) == ["feat-old"]


def test_a_dry_run_only_says(crowded: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "can_ask", lambda: False)
    result = crowded.run("gc", "--dry-run", "--keep", "feat-login")
    assert result.exit_code == 0
    assert "to be destroyed: " in result.stdout
    assert crowded.calls() == []


def test_each_name_is_asked_for(crowded: Desk) -> None:
    result = crowded.run("gc", "--keep", "main", answer="feat-login\nno\n")
    assert result.exit_code == 1
    assert crowded.applied() == STACKS
    assert "not destroyed: feat-old" in result.stderr


def test_one_that_fails_does_not_keep_the_others(crowded: Desk) -> None:
    crowded.make_up(broken=("supporting",))
    result = crowded.run("gc", "--yes", "--keep", "main")
    assert result.exit_code == 1
    assert result.stderr.count("could not be synthesized") == 2
    assert "not destroyed: feat-login, feat-old" in result.stderr


@pytest.mark.parametrize("keep", ["", " ", "\n"])
def test_an_empty_list_of_branches_is_taken_for_a_mistake(crowded: Desk, keep: str) -> None:
    result = crowded.run("gc", "--yes", "--keep", keep)
    assert result.exit_code == 2
    assert "names no branch" in result.stderr
    assert crowded.calls() == []


def test_nobody_is_there_to_answer(crowded: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "can_ask", lambda: False)
    assert crowded.run("gc", "--keep", "main").exit_code == 3
    assert crowded.calls() == []


def test_nobody_has_said_whose_platform_it_is(crowded: Desk) -> None:
    crowded.pretend(domain=PLACEHOLDER_DOMAIN)
    assert crowded.run("gc", "--yes", "--keep", "main").exit_code == 3
    assert crowded.run("gc").exit_code == 0


def test_without_a_state_bucket(desk: Desk) -> None:
    desk.s3.delete_bucket(Bucket=BUCKET)
    result = desk.run("gc")
    assert result.exit_code == 3
    assert "bootstrap --env dev" in result.stderr


def test_where_none_stands(desk: Desk) -> None:
    desk.stand(*stacks_named("dev"))
    result = desk.run("gc", "--yes", "--keep", "main")
    assert result.exit_code == 0
    assert "there are no feature environments" in result.stdout


def test_more_states_than_one_page_lists(crowded: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "4")
    listed = crowded.s3.list_objects_v2(Bucket=BUCKET)
    assert listed["IsTruncated"]
    assert "feat-old" not in str(listed)
    assert "feat-old" in crowded.run("gc").stdout
