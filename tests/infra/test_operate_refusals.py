"""What is refused: one clear line, exit code 2 or 3, no traceback, and nothing has run."""

import json
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from typer.testing import Result

from infra.environments import PLACEHOLDER_DOMAIN
from infra.stacks import Stack
from order_shared.naming import ORDER_API
from orderctl import terminal
from tests.infra.conftest import BUCKET, HOME, MOTO_ACCOUNT, Desk, stacks_named

CHANGING = ["apply", "destroy"]
ASKING_TERRAFORM = ["plan", "apply", "destroy", "outputs"]


def ask(desk: Desk, verb: str, *words: str, env: str = "dev") -> Result:
    """Without a question, whatever the verb."""
    return desk.run(verb, "--env", env, *words, *(["--yes"] if verb in CHANGING else []))


def refused(result: Result, *texts: str, code: int = 3) -> None:
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)  # no traceback
    for text in texts:
        assert text in result.stderr


@pytest.mark.parametrize("verb", ["plan", "apply", "destroy"])
def test_nobody_has_said_whose_platform_it_is(desk: Desk, verb: str) -> None:
    desk.pretend(domain=PLACEHOLDER_DOMAIN)
    refused(ask(desk, verb), "infra/environments.py", "ORGANISATION")
    assert desk.calls() == []


@pytest.mark.parametrize("verb", ["bootstrap", "synth", *ASKING_TERRAFORM])
def test_an_environment_that_there_is_not(desk: Desk, verb: str) -> None:
    refused(ask(desk, verb, env="Prod"), "'Prod' is no environment", "dev, uat, prod", code=2)


@pytest.mark.parametrize("verb", ASKING_TERRAFORM)
def test_a_stack_that_there_is_not(desk: Desk, verb: str) -> None:
    refused(ask(desk, verb, "--only", "order-apy"), "dev has no 'order-apy'", f"order-api-{HOME}", code=2)
    assert desk.calls() == []


@pytest.mark.parametrize("verb", ASKING_TERRAFORM)
def test_without_terraform(desk: Desk, verb: str, tmp_path: Path) -> None:
    desk.context = replace(desk.context, environ={**desk.context.environ, "PATH": str(tmp_path)})
    refused(ask(desk, verb), "no terraform on the PATH")


@pytest.mark.parametrize("verb", ["bootstrap", *ASKING_TERRAFORM])
def test_without_credentials(desk: Desk, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    desk.context = replace(desk.context, session=boto3.Session)
    with mock_aws(config={"core": {"mock_credentials": False}}):
        refused(ask(desk, verb), "AWS accepts no credentials")
    assert desk.calls() == []


@pytest.mark.parametrize("verb", ["bootstrap", *ASKING_TERRAFORM])
def test_a_profile_that_there_is_not(desk: Desk, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    desk.context = replace(desk.context, session=boto3.Session)
    refused(ask(desk, verb), "AWS accepts no credentials", "nobody")


@pytest.mark.parametrize("verb", ["bootstrap", *ASKING_TERRAFORM])
def test_another_account_than_the_one_that_is_expected(desk: Desk, verb: str) -> None:
    desk.context = replace(desk.context, environ={**desk.context.environ, "ORDER_ACCOUNT_ID": "999999999999"})
    refused(ask(desk, verb), f"belong to account {MOTO_ACCOUNT}, but ORDER_ACCOUNT_ID is 999999999999")
    assert desk.calls() == []


def test_the_account_that_is_expected_goes_on(desk: Desk) -> None:
    desk.context = replace(desk.context, environ={**desk.context.environ, "ORDER_ACCOUNT_ID": MOTO_ACCOUNT})
    assert ask(desk, "apply").exit_code == 0


@pytest.mark.parametrize("verb", ASKING_TERRAFORM)
def test_without_a_state_bucket(desk: Desk, verb: str) -> None:
    desk.s3.delete_bucket(Bucket=BUCKET)
    refused(ask(desk, verb), f"no state bucket {BUCKET}", "orderctl env bootstrap --env dev")
    assert desk.calls() == []


@pytest.mark.parametrize("verb", CHANGING)
def test_nobody_is_there_to_answer(desk: Desk, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.stand(*stacks_named("dev"))
    monkeypatch.setattr(terminal, "can_ask", lambda: False)
    refused(desk.run(verb, "--env", "dev"), "--yes")
    assert ask(desk, verb).exit_code == 0


@pytest.mark.parametrize(("answer", "code"), [("de\n", 3), ("y\n", 3), ("\n", 3), ("", 130)])
@pytest.mark.parametrize("verb", CHANGING)
def test_another_answer_than_the_name(desk: Desk, verb: str, answer: str, code: int) -> None:
    desk.stand(*stacks_named("dev"))
    result = desk.run(verb, "--env", "dev", answer=answer)
    assert result.exit_code == code
    assert "nothing was changed" in result.stderr
    assert desk.calls() == []


@pytest.mark.parametrize("words", [[], ["--yes"], ["--dry-run"]])
def test_a_protected_environment_is_not_destroyed_in_any_way(desk: Desk, words: list[str]) -> None:
    desk.stand(*stacks_named("prod"))
    refused(desk.run("destroy", "--env", "prod", *words, answer="prod\n"), "prod is protected", "protected=False")
    assert desk.calls() == []


def test_the_registry_is_destroyed_only_if_it_is_said(desk: Desk) -> None:
    desk.stand(*stacks_named("dev"))
    refused(ask(desk, "destroy", "--only", f"registry-{HOME}"), "only with --registry")
    assert desk.calls() == []


def test_the_registry_stays_while_another_environment_uses_it(desk: Desk) -> None:
    desk.stand(*stacks_named("dev"), *stacks_named("uat")[1:2])
    refused(ask(desk, "destroy", "--registry"), f"registry-{HOME} is still needed by supporting-{HOME} of uat")
    assert desk.calls() == []


def test_a_host_stays_while_feature_environments_stand(desk: Desk) -> None:
    desk.stand(
        *stacks_named("dev"), Stack(owner="feat-old", region=HOME, kind=ORDER_API.name), *stacks_named("feat-login")
    )
    result = ask(desk, "destroy")
    refused(result, "  orderctl env destroy --env feat-login\n", "destroy --env feat-old\n")
    assert result.stderr.count("destroy --env feat-login") == 1  # though it has three stacks
    assert desk.calls() == []


def test_its_services_go_though_feature_environments_stand(desk: Desk) -> None:
    desk.stand(*stacks_named("dev"), *stacks_named("feat-login"))
    assert ask(desk, "destroy", "--only", "services").exit_code == 0
    assert desk.applied() == [f"order-notifier-{HOME}", f"order-processor-{HOME}", f"order-api-{HOME}"]


def test_what_is_left_of_a_feature_environments_state_keeps_nothing(desk: Desk) -> None:
    desk.stand(*stacks_named("dev"))
    for stack in stacks_named("feat-login"):
        desk.keep(stack.key, {"resources": []})
    assert ask(desk, "destroy").exit_code == 0


def test_a_supporting_stack_stays_while_services_stand_on_it(desk: Desk) -> None:
    desk.stand(*stacks_named("dev"))
    refused(
        ask(desk, "destroy", "--only", "supporting"),
        f"order-api-{HOME} of dev, order-notifier-{HOME} of dev, order-processor-{HOME} of dev",
        "orderctl env destroy --env dev --only services",
    )
    assert desk.calls() == []


@pytest.mark.parametrize(
    ("env", "words", "line"),
    [
        ("dev", ("--only", "services"), "apply --env dev --only supporting"),
        ("feat-login", (), "apply --env dev --only supporting"),
        ("feat-login", ("--only", "services"), "apply --env dev --only supporting"),
    ],
)
def test_what_would_be_read_does_not_stand(desk: Desk, env: str, words: tuple[str, ...], line: str) -> None:
    refused(ask(desk, "apply", *words, env=env), f"first run: orderctl env {line}")
    assert desk.calls() == []


def test_nothing_can_be_planned_yet(desk: Desk) -> None:
    refused(ask(desk, "plan", "--only", "services"), "nothing can be planned yet", f"order-processor-{HOME}")
    assert desk.calls() == []


@pytest.mark.parametrize("verb", ["synth", "apply"])
def test_without_infras_environment(desk: Desk, verb: str) -> None:
    (desk.context.root / "infra" / ".venv" / "bin" / "python").unlink()
    refused(ask(desk, verb), "make setup-infra")


@pytest.mark.parametrize("verb", ["synth", "plan", "apply"])
def test_a_stack_that_cannot_be_written(desk: Desk, verb: str) -> None:
    desk.make_up(broken=("services",))
    result = ask(desk, verb)
    assert result.exit_code == 1
    assert "the construct is wrong" in result.stderr
    assert "infra.services could not be synthesized" in result.stderr
    assert desk.calls() == []


def test_a_stack_that_the_apps_do_not_write(desk: Desk) -> None:
    made_up = json.loads((desk.here / "stacks.json").read_text())
    del made_up["dev"]["services"][f"order-api-{HOME}"]
    (desk.here / "stacks.json").write_text(json.dumps(made_up))
    result = ask(desk, "apply")
    assert result.exit_code == 1
    assert f"wrote no stack order-api-{HOME}" in result.stderr
    assert desk.calls() == []


def test_a_state_that_was_not_saved_comes_first(desk: Desk) -> None:
    desk.run("synth", "--env", "dev")
    folder = desk.context.root / ".local" / "infra" / "dev" / "supporting" / "stacks" / f"supporting-{HOME}"
    (folder / "errored.tfstate").touch()
    refused(ask(desk, "apply"), "state push errored.tfstate", f"supporting-{HOME}")
    assert desk.calls() == []


def test_nobody_elses_state_is_read_without_need(desk: Desk) -> None:
    """A role that may not read prod's state can still deploy dev."""
    desk.s3.put_object(Bucket=BUCKET, Key=f"prod/{HOME}/order-api.tfstate", Body=b"not to be read")
    desk.s3.put_object(Bucket=BUCKET, Key=f"feat-login/{HOME}/order-api.tfstate", Body=b"not to be read")
    assert ask(desk, "apply").exit_code == 0
    assert ask(desk, "destroy", env="uat").exit_code == 0
