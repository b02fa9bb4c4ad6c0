"""Walk through every operation, status, stage and hook status. Each response is checked against its shape."""

from collections import defaultdict
from typing import Any

from fake_ecs.api import EcsApi
from fake_ecs.gateway import handlers
from fake_ecs.model import HookAction, HookStatus, Stage, Status, TaskStatus
from fake_ecs.seed import standard
from tests.ecs import SteppedEcs, stepped_ecs

API, PROCESSOR = "order-api", "order-processor"
ALARM = "dev-failures"


class Walk:
    def __init__(self, ecs: SteppedEcs, client: Any) -> None:
        self.fake = ecs
        self.client = client
        self.seen: dict[str, set[str]] = defaultdict(set)
        client.meta.events.register("before-call.ecs", self._note)

    def _note(self, model: Any, **_: object) -> None:
        self.seen["operation"].add(model.name)

    def deploy(self, service: str, **changes: Any) -> str:
        self.client.update_service(
            cluster="dev", service=service, forceNewDeployment=True, deploymentConfiguration=changes
        )
        return str(
            self.client.list_service_deployments(cluster="dev", service=service)["serviceDeployments"][0][
                "serviceDeploymentArn"
            ]
        )

    def look(self, arn: str) -> dict[str, Any]:
        view = self.client.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]
        revisions = [each["arn"] for each in (*view["sourceServiceRevisions"], view["targetServiceRevision"])]
        self.client.describe_service_revisions(serviceRevisionArns=revisions)
        self.client.describe_services(cluster="dev", services=[API, PROCESSOR])
        services = self.fake.engine.state.services.values()
        self.seen["task"] |= {task.status for service in services for task in service.tasks}
        self.seen["status"].add(view["status"])
        self.seen["stage"].add(view.get("lifecycleStage", ""))
        self.seen["hook"] |= {hook["status"] for hook in view["lifecycleHookDetails"]}
        self.seen["monitor"] |= {view["alarms"]["status"], view["deploymentCircuitBreaker"]["status"]}
        return dict(view)

    def walk(self, arn: str, *, resolve: HookAction | None = None, alarm_at: Stage | None = None) -> None:
        """Advance to the end and check each moment."""
        while not Status((view := self.look(arn))["status"]).is_finished:
            waiting = [hook for hook in view["lifecycleHookDetails"] if hook["status"] == HookStatus.AWAITING_ACTION]
            if waiting and resolve is not None:
                self.client.continue_service_deployment(
                    serviceDeploymentArn=arn, hookId=waiting[0]["hookId"], action=resolve
                )
            if alarm_at is not None and view.get("lifecycleStage") == alarm_at:
                self.fake.set_alarm(ALARM, "ALARM")
                self.fake.step(0)
                self.look(arn)
            assert self.fake.skip(), view
        self.fake.set_alarm(ALARM, "OK")


def test_every_operation_and_state_can_be_seen() -> None:
    with stepped_ecs(standard()) as ecs:
        client = ecs.client("ecs")
        walk = Walk(ecs, client)
        client.describe_task_definition(taskDefinition="dev-order-api")
        container = {"name": "other", "image": "other:1"}
        client.register_task_definition(family="other", containerDefinitions=[container])

        walk.walk(walk.deploy(API), resolve=HookAction.CONTINUE)
        walk.walk(walk.deploy(API), resolve=HookAction.ROLLBACK)
        walk.walk(walk.deploy(API))  # the pause times out
        walk.deploy(API)
        walk.fake.step(5)
        walk.walk(walk.deploy(API, lifecycleHooks=[]))  # the one before is superseded and cleared up
        stopped = walk.deploy(API)
        client.stop_service_deployment(serviceDeploymentArn=stopped, stopType="ROLLBACK")
        walk.walk(stopped)

        alarms = {"alarmNames": [ALARM], "enable": True, "rollback": False}
        walk.walk(walk.deploy(PROCESSOR, alarms=alarms), alarm_at=Stage.BAKE_TIME)
        ecs.set_alarm(ALARM, "ALARM")
        walk.walk(walk.deploy(PROCESSOR, alarms=alarms))  # it is on before the start, so nothing is watched
        ecs.break_image(_digest(ecs))
        walk.walk(walk.deploy(PROCESSOR))  # the breaker rolls it back
        limits = {"minimumHealthyPercent": 0, "maximumPercent": 100}  # the old tasks go first, and cannot come back
        walk.walk(walk.deploy(PROCESSOR, alarms=alarms | {"rollback": True}, **limits))
        client.close()

    assert walk.seen["operation"] == handlers(EcsApi(ecs.engine), {"ecs": client.meta.service_model}).keys()
    assert walk.seen["status"] == set(Status)
    assert walk.seen["stage"] == {"", *Stage}
    assert walk.seen["hook"] == set(HookStatus)
    assert walk.seen["monitor"] == {"DISABLED", "MONITORING", "MONITORING_COMPLETE", "TRIGGERED"}
    assert walk.seen["task"] == set(TaskStatus)


def _digest(ecs: SteppedEcs) -> str:
    images = ecs.cloud.ecr.describe_images(repositoryName=PROCESSOR, imageIds=[{"imageTag": "live-dev"}])
    return str(images["imageDetails"][0]["imageDigest"])
