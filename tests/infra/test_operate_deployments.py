"""apply and destroy beside `orderctl deploy`: one lock, one freeze, the same checks, the same judgement.

ECS, ECR and the load balancer are the fake of ECS; the rest of AWS is moto's. Terraform's stand-in calls the fake.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import Result

from devstack.provision import create_queue, create_table
from fake_ecs.images import tag_image
from fake_ecs.running import SERVED
from fake_ecs.seed import standard
from infra.operate import process
from infra.operate.process import Child
from order_operations.deployments import fleet
from order_operations.deployments.freeze import Freeze, FreezeStore
from order_operations.deployments.lock import Holder, Lock
from order_operations.deployments.service_ref import API, NOTIFIER, PROCESSOR, ServiceRef
from order_operations.deployments.traffic import Traffic
from order_shared.storage.audit_trail import DynamoAuditTrail
from order_shared.tables import OPERATIONS, order_queue
from orderctl.commands.deployment import pace
from tests.ecs import SteppedEcs, green_url, stepped_ecs
from tests.infra.conftest import HOME, Desk, SharedClients, stacks_named
from tests.integration.deploy_desk import FIRST, SEED, GreenSide

DONE, FAILED, USAGE, REFUSED = range(4)
ECS = "AmazonEC2ContainerServiceV20141113"
ALARM = "dev-failures"
TABLE = f"dev-{OPERATIONS.name}"


class Sessions(SharedClients):
    """A session whose clients of what deploys a service call the fake, and all others moto."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def client(self, *arguments: Any, **options: Any) -> Any:
        endpoint = {"endpoint_url": self._address} if arguments[0] in SERVED else {}
        return super().client(*arguments, **options, **endpoint)


@dataclass
class Site:
    """dev, with both services running. `on_poll` is called before each poll of ECS."""

    desk: Desk
    ecs: SteppedEcs
    on_poll: Callable[[], None] = lambda: None

    def poll(self) -> None:
        self.on_poll()
        self.ecs.skip()

    def apply(self, service: str = PROCESSOR, *words: str) -> Result:
        return self.desk.run("apply", "--env", "dev", "--only", service, "--yes", *words)

    def destroy(self, only: str = PROCESSOR) -> Result:
        return self.desk.run("destroy", "--env", "dev", "--only", only, "--yes")

    def plan(self, service: str, *changes: Mapping[str, Any]) -> None:
        """Let Terraform plan these changes."""
        self.desk.does[f"show {service}-{HOME}"] = {"says": json.dumps({"resource_changes": changes})}

    def plan_deployment(self, service: str = PROCESSOR) -> None:
        """Let Terraform plan a new task definition of the service, and deploy it."""
        task = change("aws_ecs_task_definition", ["create", "delete"])
        update = change("aws_ecs_service", ["update"], {"task_definition": "one"}, {"task_definition": "two"})
        self.plan(service, task, update)
        content = self.ecs.engine.state.task_definitions[f"dev-{service}:1"].content
        register = {"family": f"dev-{service}", **content}
        count = sum(name.startswith(f"dev-{service}:") for name in self.ecs.engine.state.task_definitions)
        deploy = {"cluster": "dev", "service": service, "taskDefinition": f"dev-{service}:{count + 1}"}
        posts = [self._call("RegisterTaskDefinition", register), self._call("UpdateService", deploy)]
        self.desk.does[f"apply {service}-{HOME}"] = {"posts": posts}

    def _call(self, operation: str, request: Mapping[str, Any]) -> list[str]:
        return [self.ecs.address.removeprefix("http://"), f"{ECS}.{operation}", json.dumps(request)]

    def deploy(self, service: str = PROCESSOR) -> None:
        """Start a deployment that nobody follows."""
        self.desk.client("ecs").update_service(cluster="dev", service=service, forceNewDeployment=True)

    def come_to(self, stage: str, service: str = PROCESSOR) -> None:
        while self.stage(service) != stage:
            assert self.ecs.skip(), f"nothing is ever due, and the stage is {self.stage(service)}"

    def stage(self, service: str = PROCESSOR) -> str:
        ongoing = self.ecs.engine.state.services["dev", service].ongoing
        return str(ongoing.stage) if ongoing is not None else ""

    def ring_in_the_bake(self) -> None:
        if self.stage() == "BAKE_TIME":
            self.ecs.set_alarm(ALARM, "ALARM")

    def statuses(self, service: str = PROCESSOR) -> list[str]:
        return [str(each.status) for each in self.ecs.engine.state.services["dev", service].deployments]

    def freeze(self, service: str = PROCESSOR) -> None:
        freeze = Freeze(actor="ada", reason="incident 42", since="noon")
        FreezeStore(self.desk.client("dynamodb"), TABLE, ref(service)).set(freeze)

    def lock(self, service: str = PROCESSOR) -> Lock:
        """Somebody else's."""
        holder = Holder(id="another-run", actor="ada", what="deploy sha-9999999")
        return Lock(self.desk.client("dynamodb"), TABLE, ref(service), holder)

    def audit(self, service: str = PROCESSOR) -> list[str]:
        trail = DynamoAuditTrail(self.desk.client("dynamodb"), TABLE)
        return [each.verb for each in trail.of(ref(service).subject)]


def ref(service: str) -> ServiceRef:
    return ServiceRef(environment="dev", kind=service)


def change(
    kind: str, actions: list[str], before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a resource change, in the form of `terraform show -json`."""
    detail = {"actions": actions, "before": before, "after": after}
    return {"address": f"{kind}.it", "mode": "managed", "type": kind, "name": "it", "change": detail}


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == REFUSED, result.output
    for word in words:
        assert word in result.stderr


@pytest.fixture(scope="module")
def fake() -> Iterator[SteppedEcs]:
    with stepped_ecs(standard("dev"), start=datetime.now(UTC)) as ecs:
        yield ecs


@pytest.fixture(scope="module")
def session(fake: SteppedEcs) -> Sessions:
    return Sessions(fake.address)


@pytest.fixture
def site(desk: Desk, fake: SteppedEcs, session: Sessions, monkeypatch: pytest.MonkeyPatch) -> Site:
    fake.reset()
    fake.engine.faults.vary(SEED)
    fake.clock.now = datetime.now(UTC)
    desk.context = replace(desk.context, session=lambda: session)
    create_table(desk.client("dynamodb"), OPERATIONS, TABLE)
    create_queue(desk.client("sqs"), order_queue("dev-"))
    desk.stand(*stacks_named("dev"))
    site = Site(desk, fake)
    monkeypatch.setattr(pace, "poll_sleep", site.poll)
    monkeypatch.setattr(fleet, "wait_until_described", lambda: None)
    return site


class TestRefusals:
    """Row 6: Terraform's deployments obey the lock, the freeze, the traffic check and the drift check."""

    @pytest.mark.parametrize("service", [API, PROCESSOR])
    def test_an_apply_during_a_freeze_is_refused(self, site: Site, service: str) -> None:
        site.plan_deployment(service)
        site.freeze(service)
        refused(
            site.apply(service), "frozen by ada since noon: incident 42", f"`orderctl continue {service} --env dev`"
        )
        assert site.desk.applied() == []

    def test_an_apply_during_anothers_command_is_refused(self, site: Site) -> None:
        site.plan_deployment()
        site.lock().take()
        refused(
            site.apply(), "ada has held the lock", "deploy sha-9999999", "`orderctl status order-processor --env dev`"
        )
        assert site.desk.applied() == []

    def test_an_apply_during_anothers_deployment_is_refused(self, site: Site) -> None:
        site.plan_deployment()
        site.deploy()
        refused(site.apply(), "is under way", "`orderctl finish order-processor --env dev`", "`orderctl abort")
        assert site.desk.applied() == []
        site.lock().take()  # which is free

    @pytest.mark.parametrize(
        "untouched",
        [
            (),
            (change("aws_ecs_service", ["no-op"]), change("aws_ecs_task_definition", ["read"])),
            (change("aws_cloudwatch_metric_alarm", ["update"]), change("aws_appautoscaling_target", ["create"])),
        ],
    )
    def test_an_apply_that_touches_no_service_is_done(self, site: Site, untouched: tuple[dict[str, Any], ...]) -> None:
        site.plan(PROCESSOR, *untouched)
        site.freeze()
        site.lock().take()
        site.deploy()
        result = site.apply()
        assert result.exit_code == DONE, result.output
        assert site.desk.applied() == [f"{PROCESSOR}-{HOME}"]

    def test_an_apply_with_a_drifting_tag_is_refused(self, site: Site) -> None:
        """It would ship the image that was rolled back (E1)."""
        site.plan_deployment()
        ecr = site.desk.client("ecr")
        newest = ecr.describe_images(repositoryName=PROCESSOR, imageIds=[{"imageTag": "sha-5d6e7f8"}])["imageDetails"]
        tag_image(ecr, PROCESSOR, "live-dev", newest[0]["imageDigest"])
        refused(site.apply(), "the live tag points to another image", "`orderctl finish order-processor --env dev`")
        assert site.desk.applied() == []

    def test_a_refusal_after_another_stack_is_a_failure_that_tells_both(self, site: Site) -> None:
        site.plan_deployment()
        site.freeze()
        result = site.apply("services")
        assert result.exit_code == FAILED
        assert f"applied: {API}-{HOME}\nnot applied: {PROCESSOR}-{HOME}, {NOTIFIER}-{HOME}\n" in result.stderr
        assert "`orderctl continue order-processor --env dev`" in result.stderr


class TestTraffic:
    """The apply may be what repairs a service whose targets are unhealthy."""

    @pytest.fixture
    def sick(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
        healthy = Traffic.targets
        monkeypatch.setattr(Traffic, "targets", lambda *arguments: replace(healthy(*arguments), healthy=0, starting=0))
        site.plan(API, change("aws_ecs_service", ["update"], {"tags": {}}, {"tags": {"team": "orders"}}))
        return site

    def test_unhealthy_targets_refuse_it(self, sick: Site) -> None:
        refused(sick.apply(API), "0 of 2 targets healthy", "`--despite targets --reason …`")
        assert sick.desk.applied() == []

    def test_an_operator_can_act_nevertheless(self, sick: Site) -> None:
        despite = ("--despite", "targets")
        without = sick.apply(API, *despite)
        assert (without.exit_code, "--reason" in without.stderr) == (USAGE, True)
        assert sick.apply(API, *despite, "--reason", "wrong setting").exit_code == DONE
        assert sick.audit(API) == ["despite", "apply"]


class TestJudgement:
    """E2: Terraform reports success although ECS rolls its deployment back."""

    def test_the_deployment_that_it_starts_is_followed(self, site: Site) -> None:
        site.plan_deployment()
        result = site.apply()
        assert result.exit_code == DONE, result.output
        assert "ended SUCCESSFUL" in result.stdout
        assert site.statuses() == ["SUCCESSFUL", "SUCCESSFUL"]
        assert site.audit() == ["apply", "deployed"]
        site.lock().take()  # which is free

    def test_one_that_is_rolled_back_fails_the_apply_and_names_the_next_command(self, site: Site) -> None:
        """Another attempt is allowed: the image is not rejected, and the cause may be gone."""
        site.plan_deployment()
        site.on_poll = site.ring_in_the_bake
        result = site.apply()
        assert result.exit_code == FAILED, result.output
        assert f"stopped at {PROCESSOR}-{HOME}: " in result.stderr
        assert f"ended ROLLBACK_SUCCESSFUL: One or more alarms went into ALARM: {ALARM}" in result.stderr
        assert "See `orderctl history order-processor --env dev`" in result.stderr
        assert "has superseded" not in result.stderr
        site.on_poll = lambda: None
        site.ecs.set_alarm(ALARM, "OK")
        site.plan_deployment()
        assert site.apply().exit_code == DONE

    def test_green_is_tested_before_traffic_shifts(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        green = GreenSide(FIRST.removeprefix("sha-"))
        monkeypatch.setattr(Traffic, "test_url", lambda *_: green_url(site.ecs, "dev"))
        site.plan_deployment(API)
        with green.serve():
            site.ecs.routing.serve(green.url)
            result = site.apply(API)
        assert (result.exit_code, "OK   reachable" in result.stderr) == (DONE, True), result.output
        assert green.asked
        assert site.statuses(API) == ["SUCCESSFUL", "SUCCESSFUL"]

    def test_tags_alone_start_no_deployment_to_wait_for(self, site: Site) -> None:
        site.plan(PROCESSOR, change("aws_ecs_service", ["update"], {"tags_all": {}}, {"tags_all": {"team": "orders"}}))
        assert site.apply().exit_code == DONE
        assert site.statuses() == ["SUCCESSFUL"]

    def test_a_service_that_it_creates_is_followed_too(self, site: Site) -> None:
        """Its first deployment is one, and before there was no traffic to check."""
        state = site.ecs.engine.state
        born = state.services.pop(("dev", PROCESSOR))
        site.plan(PROCESSOR, change("aws_ecs_service", ["create"], None, {"name": PROCESSOR}))

        def create() -> None:
            """At the first poll after Terraform's apply: reads of ECS are late."""
            site.on_poll = lambda: None
            site.ecs.engine.create_service(
                cluster="dev",
                name=PROCESSOR,
                task_definition=state.task_definitions[f"dev-{PROCESSOR}:1"],
                desired=2,
                configuration=born.configuration,
                balancing=None,
                age=timedelta(0),
            )

        site.on_poll = create
        result = site.apply()
        assert result.exit_code == DONE, result.output
        assert site.statuses() == ["SUCCESSFUL"]

    def test_a_terraform_that_fails_midway_names_who_follows_its_deployment(self, site: Site) -> None:
        site.plan_deployment()
        site.desk.does[f"apply {PROCESSOR}-{HOME}"]["exit"] = 1
        result = site.apply()
        assert result.exit_code == FAILED
        assert "may have started: `orderctl finish order-processor --env dev`" in result.stderr
        assert "terraform apply ended with exit code 1" in result.stderr


class TestDestroy:
    """Row 25: a service cannot be deleted during a pause or a bake."""

    @pytest.mark.parametrize(("service", "stage"), [(API, "POST_TEST_TRAFFIC_SHIFT"), (PROCESSOR, "BAKE_TIME")])
    def test_a_deployment_under_way_is_rolled_back_first(self, site: Site, service: str, stage: str) -> None:
        site.deploy(service)
        site.come_to(stage, service)
        result = site.destroy(service)
        assert result.exit_code == DONE, result.output
        assert "rolling it back before" in result.stderr
        assert site.statuses(service)[-1] == "ROLLBACK_SUCCESSFUL"
        assert site.desk.applied() == [f"{service}-{HOME}"]
        assert site.audit(service)[0] == "abort"
        site.lock(service).take()  # which is free

    def test_it_is_refused_while_another_operator_deploys(self, site: Site) -> None:
        site.deploy()
        site.lock().take()
        refused(site.destroy(), "ada has held the lock", "`orderctl status order-processor --env dev`")
        assert site.desk.applied() == []
        assert site.statuses()[-1] == "PENDING"

    def test_one_that_is_gone_already_is_destroyed(self, site: Site) -> None:
        del site.ecs.engine.state.services["dev", PROCESSOR]
        assert site.destroy().exit_code == DONE

    def test_without_a_table_of_locks_it_is_rolled_back_too(self, site: Site) -> None:
        """As in a region that the environment leaves."""
        site.desk.client("dynamodb").delete_table(TableName=TABLE)
        site.deploy()
        result = site.destroy()
        assert result.exit_code == DONE, result.output
        assert site.statuses()[-1] == "ROLLBACK_SUCCESSFUL"


def test_the_lock_is_extended_while_terraform_runs(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child ends only when it has been extended twice."""
    monkeypatch.setattr(process, "EXTENDED_SECONDS", 0.01)
    extended = tmp_path / "extended"
    script = f'until [ "$(wc -c < {extended})" -ge 2 ]; do sleep 0.01; done 2>&-; echo done'

    def extend() -> None:
        with extended.open("a") as file:
            file.write("x")

    code, output = Child("sh").run(
        ["sh", "-c", script], folder=tmp_path, environ={"PATH": "/usr/bin:/bin"}, stdout=-1, meanwhile=extend
    )
    assert (code, output) == (0, b"done\n")
