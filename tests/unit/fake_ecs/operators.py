"""An operator of the fake: actions on its APIs with boto3 clients."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fake_ecs.images import tag_image
from fake_ecs.model import HookAction, Stage, Status
from tests.ecs import SteppedEcs

API, PROCESSOR = "order-api", "order-processor"
LIVE = "live-dev"


class Operator:
    """Operator actions through boto3."""

    def __init__(self, ecs: SteppedEcs, stack: ExitStack) -> None:
        self.fake = ecs
        self.ecs = self._open(stack, "ecs")
        self.ecr = self._open(stack, "ecr")
        self.elbv2 = self._open(stack, "elbv2")

    def digest(self, tag: str, repository: str = API) -> str:
        found = self.ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
        return str(found["imageDetails"][0]["imageDigest"])

    def ship(self, service: str, commit: str = "5d6e7f8") -> str:
        """Move the tag, start a deployment, and return its ARN."""
        tag_image(self.ecr, service, LIVE, self.digest(f"sha-{commit}", service))
        return self.deploy(service)

    def deploy(self, service: str) -> str:
        self.ecs.update_service(cluster="dev", service=service, forceNewDeployment=True)
        return self.deployments(service)[0]

    def deployments(self, service: str, **filters: Any) -> list[str]:
        answer = self.ecs.list_service_deployments(cluster="dev", service=service, **filters)
        return [each["serviceDeploymentArn"] for each in answer["serviceDeployments"]]

    def look(self, arn: str) -> dict[str, Any]:
        return dict(self.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0])

    def revision(self, arn: str) -> dict[str, Any]:
        return dict(self.ecs.describe_service_revisions(serviceRevisionArns=[arn])["serviceRevisions"][0])

    def until(self, arn: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        for _ in range(100):
            view = self.look(arn)
            if condition(view):
                return view
            assert self.fake.skip(), f"nothing is due, and it is {view}"
        raise AssertionError(f"it does not come to that: {self.look(arn)}")

    def reach(self, arn: str, stage: Stage) -> dict[str, Any]:
        return self.until(arn, lambda view: view.get("lifecycleStage") == stage)

    def end(self, arn: str) -> dict[str, Any]:
        return self.until(arn, lambda view: Status(view["status"]).is_finished)

    def pause(self, arn: str) -> str:
        """Return the id of the hook that awaits an action."""
        waiting = self.until(arn, lambda view: any(_waits(hook) for hook in view["lifecycleHookDetails"]))
        return str(waiting["lifecycleHookDetails"][0]["hookId"])

    def proceed(self, arn: str, action: HookAction = HookAction.CONTINUE) -> None:
        self.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId=self.pause(arn), action=action)

    def weights(self, rule: str) -> list[int]:
        """Return the weights of blue and green on the production or the test rule."""
        service = self.ecs.describe_services(cluster="dev", services=[API])["services"][0]
        arn = service["loadBalancers"][0]["advancedConfiguration"][rule]
        action = self.elbv2.describe_rules(RuleArns=[arn])["Rules"][0]["Actions"][0]
        return [each["Weight"] for each in action["ForwardConfig"]["TargetGroups"]]

    def _open(self, stack: ExitStack, service: str) -> Any:
        client = self.fake.client(service)
        stack.callback(client.close)
        return client


def _waits(hook: dict[str, Any]) -> bool:
    return bool(hook["status"] == "AWAITING_ACTION")


def error_code(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])
