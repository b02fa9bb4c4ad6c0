"""What `make check` says of checkov's report. Checkov is run there: it takes longer than all other tests of stacks."""

import re

from tests.infra.checkov import findings, skips
from tests.infra.synthesis import ROOT

FAILED = {"CKV_AWS_1": "a bucket is open: /dev/cdk.tf.json, aws_s3_bucket.state"}


def test_what_fails_as_it_may_is_no_finding() -> None:
    assert findings(FAILED, {"CKV_AWS_1": True}) == []


def test_a_check_that_fails_is_a_finding() -> None:
    assert findings(FAILED, {}) == [f"CKV_AWS_1 fails: {FAILED['CKV_AWS_1']}"]


def test_a_check_that_is_left_out_in_vain_is_a_finding() -> None:
    assert findings({}, {"CKV_AWS_1": True}) == ["CKV_AWS_1 is left out, and does not fail"]


def test_a_check_that_is_left_out_without_a_reason_is_a_finding() -> None:
    assert findings(FAILED, {"CKV_AWS_1": False}) == ["CKV_AWS_1 is left out without a reason"]


def test_every_skip_has_its_reason() -> None:
    assert skips()
    assert [check for check, has_reason in skips().items() if not has_reason] == []


def test_make_check_runs_it() -> None:
    """Of the recipe's text: a dry run would begin the targets that it calls make for."""
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ncheck: ")[2].partition("\n\n")[0]
    assert re.search(r"python -m tests\.infra\.checkov$", recipe, re.MULTILINE)
