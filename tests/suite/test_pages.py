"""Pages name files, modules, tests, make targets and verbs of orderctl that exist."""

import subprocess
from pathlib import Path, PurePosixPath

import pytest

from tests.suite.references import Repository, anchors, dead

ROOT = Path(__file__).parents[2]
LISTED = subprocess.check_output(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True)
REPOSITORY = Repository(ROOT, [name for name in LISTED.splitlines() if (ROOT / name).is_file()])
PAGES = [
    *map(PurePosixPath, ("README.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md")),
    *(PurePosixPath(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))),
]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_names_what_exists(page: PurePosixPath) -> None:
    assert [*dead(REPOSITORY, page, (ROOT / page).read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[gone](gone.md)", "link gone.md"),
        ("[gone](api.md#no-such-heading)", "heading api.md#no-such-heading"),
        ("[gone](#no-such-heading)", "heading #no-such-heading"),
        ("`storage/versions.py`", "file storage/versions.py"),
        ("`services/*/Gone.toml`", "file services/*/Gone.toml"),
        ("`no_such_folder/`", "folder no_such_folder/"),
        ("`order_shared.versions`", "module order_shared.versions"),
        ("`python -m tests.gone`", "module tests.gone"),
        ("`test_no_such" + "_thing`", "test test_no_such" + "_thing"),
        ("`unit/api/test_auth.py -k nosuchword`", "test unit/api/test_auth.py -k nosuchword"),
        ("`pytest tests/unit/gone.py`", "file tests/unit/gone.py"),
        ("`pytest tests/unit/api -k nosuchword`", "test tests/unit/api -k nosuchword"),
        ("`make gone ENV=dev`", "target make gone"),
        ("`make test gone`", "target make gone"),
        ("`make gone-…`", "target make gone-…"),
        ("`orderctl gone`", "verb orderctl gone"),
        ("`orderctl orders gone`", "verb orderctl orders gone"),
        ("`orderctl env gone`", "verb orderctl env gone"),
        ("`orderctl dlq redrive --gone`", "option orderctl dlq redrive --gone"),
        ("`orderctl env apply --gone`", "option orderctl env apply --gone"),
        ("```sh\nENV=dev make gone   # comment\n```", "target make gone"),
        ("```console\n$ orderctl gone --env dev\n```", "verb orderctl gone"),
        ("```sh\ndocker compose run --rm order-api orderctl gone\n```", "verb orderctl gone"),
    ],
)
def test_a_dead_name_is_found(text: str, expected: str) -> None:
    assert [*dead(REPOSITORY, PurePosixPath("docs/page.md"), text)] == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "[API](api.md#errors), [web](https://example.com/gone.md)",
        "`storage/orders.py`, `docs/api.md`, `services/*/Dockerfile`, `.local/stack.json`, `/v1/orders`",
        "`order_shared.naming`, `order_api.openapi`, `python -m tests.bench`",
        "`make test ONLY=tests/unit`, `make apply-…`",
        "`orderctl orders list --parked`, `orderctl env plan --env dev`, `orderctl --help`",
        "`unit/api/test_auth.py -k issuer`, `test_an_expired_token_is_refused`, `feat/login`, `application/json`",
    ],
)
def test_a_living_name_is_accepted(text: str) -> None:
    assert [*dead(REPOSITORY, PurePosixPath("docs/page.md"), text)] == []


def test_anchors_are_made_as_github_makes_them() -> None:
    assert anchors("# 1. `make up`, and Ctrl-C\n```sh\n# no heading\n```\n") == {"1-make-up-and-ctrl-c"}
