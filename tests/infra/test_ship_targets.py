"""What the Makefile calls to build, push and deploy, and what it leaves alone: with stand-ins for the programs."""

import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.operate.features import environment_of_branch
from tests.infra.synthesis import ROOT

TAG = "sha-5d6e7f8"
INDEX = {
    "manifests": [
        {"digest": "sha256:arm", "platform": {"architecture": "arm64"}},
        {"digest": "sha256:intel", "platform": {"architecture": "amd64"}},
        {"digest": "sha256:sbom", "platform": {"architecture": "unknown"}},
    ]
}

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
        stamps = ("-o", ".venv/setup.stamp", "-o", "infra/.venv/setup.stamp")  # the environments are not its concern
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
    for name in ("aws", "docker", "git", "openssl", "orderctl", "python", "sleep"):
        path = tmp_path / name
        path.write_text(PROGRAM)
        path.chmod(0o755)
    return Bench(
        tmp_path,
        {
            "get-caller-identity": "111122223333",
            "git rev-parse": "5d6e7f8",
            "images[0].imageManifest": json.dumps(INDEX),
            "describe-image-scan-findings": "COMPLETE",
        },
    )


class TestPush:
    def test_both_images_for_both_architectures_with_their_attestations(self, bench: Bench) -> None:
        bench.answers["length(images)"] = "0"
        assert bench.make("push").returncode == 0
        builds = bench.calls("docker buildx build")
        assert len(builds) == 2
        for service, build in zip(("order-processor", "order-api"), builds, strict=True):
            assert f"--file services/{service}/Dockerfile --platform linux/amd64,linux/arm64" in build
            assert "--provenance=mode=max --sbom=true" in build
            assert "--build-arg COMMIT=5d6e7f8 --build-arg VERSION=0." in build
            assert build.endswith(f"--push --tag 111122223333.dkr.ecr.eu-central-1.amazonaws.com/{service}:{TAG}")

    def test_what_is_there_is_left_for_its_tag_cannot_move(self, bench: Bench) -> None:
        bench.answers["--repository-name order-api --query length(images)"] = "1"
        bench.answers["length(images)"] = "0"
        result = bench.make("push")
        assert result.returncode == 0
        assert f"order-api:{TAG} is there" in result.stdout
        (build,) = bench.calls("docker buildx build")
        assert "order-processor" in build

    def test_changes_that_the_commit_does_not_have_are_not_pushed_in_its_name(self, bench: Bench) -> None:
        bench.answers["git status"] = " M shared/src/order_shared/config.py"
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
        assert len(bench.calls("docker buildx build")) == 2


def test_images_are_built_without_aws(bench: Bench) -> None:
    assert bench.make("images", PLATFORMS="linux/amd64").returncode == 0
    builds = bench.calls("docker buildx build")
    assert len(builds) == 2
    assert all("--platform linux/amd64 --provenance=mode=max --sbom=true" in build for build in builds)
    assert not bench.calls("aws")


@pytest.mark.parametrize("target", ["push", "begin"])
def test_another_account_than_the_one_named_is_left_alone(bench: Bench, target: str) -> None:
    result = bench.make(target, ORDER_ACCOUNT_ID="444455556666")
    assert result.returncode != 0
    assert "111122223333, and ORDER_ACCOUNT_ID says 444455556666" in result.stdout
    assert bench.calls("aws") == bench.calls("get-caller-identity")
    assert not bench.calls("docker")


class TestScan:
    def test_of_each_architecture(self, bench: Bench) -> None:
        assert bench.make("scan").returncode == 0
        looks = bench.calls("aws ecr describe-image-scan-findings")
        assert re.findall(r"imageDigest=(\S+)", "\n".join(looks)) == ["sha256:arm", "sha256:intel"] * 2

    @pytest.mark.parametrize("status", ["ACTIVE", "UNSUPPORTED_IMAGE", "FAILED"])
    def test_what_waiting_would_not_change_is_not_waited_for(self, bench: Bench, status: str) -> None:
        """Inspector's scans go on for ever; what a status means for a deployment `orderctl deploy` knows."""
        bench.answers["describe-image-scan-findings"] = status
        result = bench.make("scan")
        assert result.returncode == 0
        assert result.stdout.count(f"its scan is {status}") == 4
        assert not bench.calls("sleep")

    @pytest.mark.parametrize("answer", ["IN_PROGRESS", "FAIL"])
    def test_one_that_does_not_begin_or_end_is_waited_for_and_then_fails(self, bench: Bench, answer: str) -> None:
        bench.answers["describe-image-scan-findings"] = answer
        result = bench.make("scan")
        assert result.returncode != 0
        assert "order-processor: sha256:arm is not scanned after five minutes" in result.stdout
        assert bench.calls("sleep") == ["sleep 5"] * 60

    def test_one_that_ends_meanwhile_is_done(self, bench: Bench) -> None:
        bench.answers["describe-image-scan-findings"] = "PENDING"
        (bench.here / "sleep").write_text('#!/bin/bash\nsed -i s/PENDING/COMPLETE/ "$ANSWERS"\n')
        result = bench.make("scan")
        assert result.returncode == 0
        assert len(bench.calls("describe-image-scan-findings")) == 1 + 4


@pytest.mark.parametrize("target", ["scan", "begin"])
def test_images_that_were_not_pushed_are_missed_by_name(bench: Bench, target: str) -> None:
    bench.answers |= {"images[0].imageManifest": "None", "list-secret-version-ids": "1", "length(images)": "0"}
    result = bench.make(target)
    assert result.returncode != 0
    assert f"order-processor:{TAG} is not in the registry" in result.stdout
    assert not bench.calls("put-image")


class TestShip:
    def test_the_processor_goes_first(self, bench: Bench) -> None:
        assert bench.make("ship", "ENV=uat", YES="1").returncode == 0
        assert bench.calls() == [
            f"orderctl deploy {service} --env uat --tag {TAG} --auto --yes"
            for service in ("order-processor", "order-api")
        ]

    def test_one_that_fails_keeps_the_other(self, bench: Bench) -> None:
        bench.answers["orderctl deploy order-processor"] = "FAIL"
        assert bench.make("ship").returncode != 0
        assert len(bench.calls("orderctl deploy")) == 1

    def test_what_terraform_has_begun_is_followed_to_its_end(self, bench: Bench) -> None:
        assert bench.make("settle", ENV="feat-login").returncode == 0
        assert bench.calls() == [
            f"orderctl deploy {service} --env feat-login --tag live-feat-login --auto"
            for service in ("order-processor", "order-api")
        ]


class TestBegin:
    def test_a_feature_gets_secrets_and_images(self, bench: Bench) -> None:
        bench.answers |= {
            "list-secret-version-ids": "0",
            "openssl rand": "random",
            "get-secret-value --secret-id dev/payment-api-key": "sk_test",
            "length(images)": "0",
        }
        result = bench.make("begin", "ENV=feat-login")
        assert result.returncode == 0
        assert "sk_test" not in result.stdout + result.stderr
        assert [call.partition("--secret-id ")[2] for call in bench.calls("put-secret-value")] == [
            "feat-login/cursor-secrets --secret-string random",
            "feat-login/payment-api-key --secret-string sk_test",
        ]
        puts = bench.calls("put-image")
        assert len(puts) == 2
        assert all("--image-tag live-feat-login" in put and json.dumps(INDEX) in put for put in puts)

    def test_no_other_gets_the_payment_key_of_dev(self, bench: Bench) -> None:
        """With a provider's test key, prod would confirm orders that nobody has paid."""
        bench.answers |= {"list-secret-version-ids": "0", "openssl rand": "random", "get-secret-value": "sk_test"}
        result = bench.make("begin", "ENV=prod")
        assert result.returncode != 0
        assert "prod/payment-api-key has no value" in result.stdout
        assert not bench.calls("get-secret-value")
        assert len(bench.calls("put-secret-value")) == 1
        assert not bench.calls("put-image")

    def test_one_that_is_there_keeps_its_own(self, bench: Bench) -> None:
        bench.answers |= {"list-secret-version-ids": "1", "length(images)": "1"}
        assert bench.make("begin", "ENV=feat-login").returncode == 0
        assert not bench.calls("put-")

    def test_an_answer_that_does_not_come_is_no_lack(self, bench: Bench) -> None:
        bench.answers |= {"list-secret-version-ids": "FAIL"}
        assert bench.make("begin", "ENV=feat-login").returncode != 0
        assert not bench.calls("put-")


HOSTILE = "feat/`touch${IFS}pwned`$(shell"
"""A branch may have this name; `)` ends that of another."""


class TestBranches:
    @pytest.mark.parametrize("branch", ["feat/Login_page", HOSTILE])
    def test_a_branch_has_its_environment(self, bench: Bench, branch: str) -> None:
        result = bench.make("branch-environment", BRANCH=branch)
        assert result.stdout == f"environment={environment_of_branch(branch)}\n"

    def test_those_that_git_knows_are_kept_whatever_they_are_called(self, bench: Bench) -> None:
        bench.answers["git for-each-ref"] = f"main\\n{HOSTILE}\\ntouch\\npwned)"
        assert bench.make("reap-gone", YES="1").returncode == 0
        assert bench.calls("python") == [f"python -m infra.operate reap --keep main {HOSTILE} touch pwned) --yes"]

    def test_without_an_answer_of_git_none_is_reaped(self, bench: Bench) -> None:
        bench.answers["git for-each-ref"] = "FAIL"
        assert bench.make("reap-gone", YES="1").returncode != 0
        assert not bench.calls("python")


class TestPlanSummary:
    def test_the_plan_is_on_the_page_too(self, bench: Bench) -> None:
        bench.answers["python -m infra.operate plan --env uat"] = "2 to add"
        page = bench.here / "page.md"
        result = bench.make("plan-summary", ENV="uat", GITHUB_STEP_SUMMARY=str(page))
        assert result.returncode == 0
        assert page.read_text() == result.stdout == "```\n2 to add\n```\n"

    def test_a_plan_that_fails_fails(self, bench: Bench) -> None:
        bench.answers["python -m infra.operate plan"] = "FAIL"
        assert bench.make("plan-summary").returncode != 0
