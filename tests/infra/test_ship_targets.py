"""What the Makefile calls to build, push and deploy, and what it leaves alone: with stand-ins for the programs."""

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.operate.features import environment_of_branch
from tests.infra.synthesis import ROOT

TAG = "sha-5d6e7f8"
SHIPPED = ("order-processor", "order-notifier", "order-api")

PROGRAM = """#!/bin/bash
# Writes what it was told, one line a call; answers and fails as the test has said for the beginning of its words.
call="${0##*/} $*"
printf '%s\\n' "${call//$'\\n'/ }" >>"$CALLS"
while IFS=$'\\t' read -r words answer; do
    [[ $call == *"$words"* ]] || continue
    [[ $answer == FAIL ]] && exit 1
    printf '%b\\n' "$answer"
    exit
done <"$ANSWERS"
"""


@dataclass
class Bench:
    """Runs a target as somebody would by hand."""

    here: Path
    answers: dict[str, str] = field(default_factory=dict)
    """To calls that have these words; `FAIL` ends with an exit code of 1."""

    def make(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        (self.here / "answers").write_text("".join(f"{words}\t{answer}\n" for words, answer in self.answers.items()))
        stamps = ("-o", "setup", "-o", "setup-infra")  # the environments are not its concern
        return subprocess.run(
            ["make", *stamps, f"BIN={self.here}", f"TAG={TAG}", *arguments],
            cwd=ROOT,
            env={
                "PATH": f"{self.here}:{os.environ['PATH']}",
                "HOME": str(self.here),
                "CALLS": str(self.here / "calls"),
                "ANSWERS": str(self.here / "answers"),
                "AWS_REGION": "eu-central-1",
                **environ,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self, words: str = "") -> list[str]:
        path = self.here / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if words in line]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    for name in ("aws", "docker", "git", "orderctl", "python"):
        path = tmp_path / name
        path.write_text(PROGRAM)
        path.chmod(0o755)
    return Bench(
        tmp_path,
        {
            "get-caller-identity": "111122223333",
            "git rev-parse": "5d6e7f8",
        },
    )


def provenance(commit: str) -> str:
    args = {"build-arg:COMMIT": commit}
    return json.dumps({"linux/amd64": {"SLSA": {"invocation": {"parameters": {"args": args}}}}})


class TestPush:
    def test_every_image_for_both_architectures_with_their_attestations(self, bench: Bench) -> None:
        bench.answers["length(images)"] = "0"
        assert bench.make("push").returncode == 0
        builds = bench.calls("docker buildx build")
        assert len(builds) == len(SHIPPED)
        for service, build in zip(SHIPPED, builds, strict=True):
            assert f"--file services/{service}/Dockerfile --platform linux/amd64,linux/arm64" in build
            assert "--provenance=mode=max --sbom=true" in build
            assert "--build-arg COMMIT=5d6e7f8 --build-arg VERSION=0." in build
            assert build.endswith(f"--push --tag 111122223333.dkr.ecr.eu-central-1.amazonaws.com/{service}:{TAG}")

    def test_the_images_of_a_branch_go_to_repositories_of_their_own(self, bench: Bench) -> None:
        bench.answers["length(images)"] = "0"
        assert bench.make("push", "ENV=feat-login").returncode == 0
        assert len(bench.calls("batch-get-image")) == len(bench.calls("--repository-name features/")) == len(SHIPPED)
        for service, build in zip(SHIPPED, bench.calls("docker buildx build"), strict=True):
            assert build.endswith(f"--tag 111122223333.dkr.ecr.eu-central-1.amazonaws.com/features/{service}:{TAG}")

    def test_in_a_workflow_the_provenance_names_the_run(self, bench: Bench) -> None:
        bench.answers["length(images)"] = "0"
        github = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "shop/orders", "GITHUB_RUN_ID": "7"}
        assert bench.make("push", "SERVICES=order-api", **github).returncode == 0
        (build,) = bench.calls("docker buildx build")
        run = "https://github.com/shop/orders/actions/runs/7"
        assert f"--provenance=mode=max,builder-id={run} --sbom=true" in build

    def test_another_image_with_its_tag_fails_the_push(self, bench: Bench) -> None:
        bench.answers["length(images)"] = "1"
        bench.answers["imagetools inspect"] = provenance("0badc0de")
        result = bench.make("push", "SERVICES=order-api")
        assert result.returncode != 0
        assert "linux/amd64 was built from 0badc0de, not from 5d6e7f8" in result.stderr
        assert "make push TAG=sha-5d6e7f8-2" in result.stderr

    def test_what_is_there_is_left_for_its_tag_cannot_move(self, bench: Bench) -> None:
        bench.answers["length(images) --repository-name order-api"] = "1"
        bench.answers["length(images)"] = "0"
        bench.answers["imagetools inspect"] = provenance("5d6e7f8")
        result = bench.make("push")
        assert result.returncode == 0
        assert f"order-api:{TAG} exists already" in result.stdout
        builds = bench.calls("docker buildx build")
        assert len(builds) == len(SHIPPED) - 1
        assert not [build for build in builds if "order-api" in build]

    def test_changes_that_the_commit_does_not_have_are_not_pushed_in_its_name(self, bench: Bench) -> None:
        bench.answers["git status"] = " M shared/src/order_shared/runtime/config.py"
        result = bench.make("push")
        assert result.returncode != 0
        assert "commit them first" in result.stdout
        assert not bench.calls("docker")

    def test_without_a_region_nothing_is_built(self, bench: Bench) -> None:
        assert bench.make("push", AWS_REGION="").returncode != 0
        assert not bench.calls("docker")

    def test_of_the_account_that_was_named(self, bench: Bench) -> None:
        bench.answers["length(images)"] = "0"
        assert bench.make("push", ORDER_ACCOUNT_ID="111122223333").returncode == 0
        assert len(bench.calls("docker buildx build")) == len(SHIPPED)


def test_images_are_built_without_aws(bench: Bench) -> None:
    assert bench.make("images", PLATFORMS="linux/amd64").returncode == 0
    builds = bench.calls("docker buildx build")
    assert len(builds) == len(SHIPPED)
    for service, build in zip(SHIPPED, builds, strict=True):
        assert "--platform linux/amd64 --provenance=mode=max --sbom=true" in build
        assert build.endswith(f"--output type=oci,dest=.local/images/{service}.tar")
    assert not bench.calls("aws")


def test_another_account_than_the_one_named_is_left_alone(bench: Bench) -> None:
    result = bench.make("push", ORDER_ACCOUNT_ID="444455556666")
    assert result.returncode != 0
    assert "111122223333, but ORDER_ACCOUNT_ID is 444455556666" in result.stdout
    assert bench.calls("aws") == bench.calls("get-caller-identity")
    assert not bench.calls("docker")


class TestShip:
    def test_workers_go_first(self, bench: Bench) -> None:
        assert bench.make("ship", "ENV=uat", YES="1").returncode == 0
        assert bench.calls() == [
            f"orderctl deploy {service} --env uat --tag {TAG} --auto --reason make ship of {TAG} --yes"
            for service in SHIPPED
        ]

    def test_one_that_fails_keeps_the_others(self, bench: Bench) -> None:
        bench.answers["orderctl deploy order-processor"] = "FAIL"
        assert bench.make("ship").returncode != 0
        assert len(bench.calls("orderctl deploy")) == 1

    def test_what_terraform_has_begun_is_followed_to_its_end_and_nothing_starts(self, bench: Bench) -> None:
        assert bench.make("wait-deployments", ENV="feat-login").returncode == 0
        assert bench.calls() == [
            f"orderctl finish {service} --env feat-login --auto --reason make wait-deployments" for service in SHIPPED
        ]


class TestBegin:
    def test_a_new_environment_begins_with_what_was_pushed(self, bench: Bench) -> None:
        assert bench.make("init", "ENV=feat-login").returncode == 0
        assert bench.calls() == [f"orderctl env init --env feat-login --tag {TAG}"]

    def test_another_region_and_a_look_at_it(self, bench: Bench) -> None:
        assert bench.make("init", "ENV=prod", "REGION=eu-west-1", "DRY_RUN=1").returncode == 0
        (call,) = bench.calls("orderctl env")
        assert call == f"orderctl env init --env prod --region eu-west-1 --tag {TAG} --dry-run"


HOSTILE = "feat/`touch${IFS}pwned`$(shell"
"""A branch may have this name; `)` ends that of another."""


class TestBranches:
    @pytest.mark.parametrize("branch", ["feat/Login_page", HOSTILE])
    def test_a_branch_has_its_environment(self, bench: Bench, branch: str) -> None:
        result = bench.make("branch-environment", BRANCH=branch)
        assert result.stdout == f"environment={environment_of_branch(branch)}\n"

    def test_those_that_git_knows_are_kept_whatever_they_are_called(self, bench: Bench) -> None:
        bench.answers["git for-each-ref"] = f"main\\n{HOSTILE}\\ntouch\\npwned)"
        assert bench.make("gc-branches", YES="1").returncode == 0
        assert bench.calls("orderctl env") == [f"orderctl env gc --keep main {HOSTILE} touch pwned) --yes"]

    def test_the_night_lists_them_first_and_destroys_one_at_a_time(self, bench: Bench) -> None:
        bench.answers["git for-each-ref"] = "main\\nfeat/login"
        bench.answers["orderctl env gc --dry-run"] = '["feat-old-1234abcd"]'
        result = bench.make("gc-list")
        assert result.stdout == 'environments=["feat-old-1234abcd"]\n'
        assert bench.make("gc-branches", YES="1", ENV="feat-old-1234abcd").returncode == 0
        assert bench.calls("orderctl env") == [
            "orderctl env gc --dry-run --output json --keep main feat/login",
            "orderctl env gc --keep main feat/login --env feat-old-1234abcd --yes",
        ]

    def test_without_an_answer_of_git_none_is_destroyed(self, bench: Bench) -> None:
        bench.answers["git for-each-ref"] = "FAIL"
        assert bench.make("gc-branches", YES="1").returncode != 0
        assert not bench.calls("orderctl env")


class TestPlanSummary:
    def test_the_plan_is_on_the_page_too(self, bench: Bench) -> None:
        bench.answers["orderctl env plan --env uat"] = "2 to add"
        page = bench.here / "page.md"
        kept = bench.here / "plan.txt"
        result = bench.make("plan-summary", f"PLAN={kept}", ENV="uat", GITHUB_STEP_SUMMARY=str(page))
        assert result.returncode == 0
        assert result.stdout == kept.read_text() == "2 to add\n"
        assert page.read_text() == "## Plan of uat\n```\n2 to add\n```\n"

    def test_a_long_plan_is_cut_on_the_page_and_kept_whole(self, bench: Bench) -> None:
        bench.answers["orderctl env plan"] = "2 to add\\n2 to change"
        page, kept = bench.here / "page.md", bench.here / "plan.txt"
        result = bench.make("plan-summary", f"PLAN={kept}", "SHOWN=8", ENV="uat", GITHUB_STEP_SUMMARY=str(page))
        assert result.returncode == 0
        assert kept.read_text() == "2 to add\n2 to change\n"
        assert "change" not in page.read_text()
        assert "the artifact has all of it" in page.read_text()

    def test_an_environment_without_a_role_has_a_reason_instead(self, bench: Bench) -> None:
        page, kept = bench.here / "page.md", bench.here / "plan.txt"
        result = bench.make("plan-skipped", f"PLAN={kept}", ENV="prod", GITHUB_STEP_SUMMARY=str(page))
        assert result.returncode == 0
        assert page.read_text() == kept.read_text() == result.stdout
        assert "There is no plan of prod" in result.stdout

    def test_a_plan_that_fails_fails(self, bench: Bench) -> None:
        bench.answers["orderctl env plan"] = "FAIL"
        kept = bench.here / "plan.txt"
        assert bench.make("plan-summary", f"PLAN={kept}").returncode != 0
