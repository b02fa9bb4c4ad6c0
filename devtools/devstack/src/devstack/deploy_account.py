"""Images, alarms and tasks of the fake account in the demonstration of deployments.

The running images are read with boto3, not with the tool that the demonstration shows.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2

from aws_json_client.proxies import proxy_for
from devstack.ecs_stack import ENVIRONMENT, EcsStack
from fake_ecs.images import REVISION_LABEL, push_image
from fake_ecs.model import FULL
from fake_ecs.running import fake_session
from fake_ecs.server import ADMIN

POLL_SECONDS = 0.05


class DeployAccount:
    """Images, alarms and tasks of a fake account."""

    def __init__(self, stack: EcsStack, ecs: Any, ecr: Any) -> None:
        self._stack = stack
        self._ecs = ecs
        self._ecr = ecr

    def push(self, repository: str, tag: str) -> str:
        """Push an image with a tag that names its commit. Return its digest."""
        return push_image(self._ecr, repository, tag, labels={REVISION_LABEL: tag.removeprefix("sha-")})

    def digest(self, repository: str, tag: str) -> str:
        (found,) = self._ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])["images"]
        return str(found["imageId"]["imageDigest"])

    def serve(self, digest: str, url: str) -> None:
        """Let this address serve the requests for the tasks of an image."""
        self._control("serve", {"url": url, "digest": digest})

    def sicken(self, digest: str) -> None:
        """Let the tasks of an image start and fail their health checks."""
        self._control("sicken-image", {"digest": digest})

    def running(self, service: str) -> set[str]:
        """Return the digests of the images that the service's tasks run."""
        (described,) = self._ecs.describe_services(cluster=ENVIRONMENT, services=[service])["services"]
        arns = [each["arn"] for each in described["currentServiceRevisions"] if each["runningTaskCount"]]
        if not arns:
            return set()
        revisions = self._ecs.describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"]
        return {str(each["containerImages"][0]["imageDigest"]) for each in revisions}

    def is_deploying(self, service: str) -> bool:
        (described,) = self._ecs.describe_services(cluster=ENVIRONMENT, services=[service])["services"]
        return "currentServiceDeployment" in described

    @contextlib.contextmanager
    def alarm_during_canary(self, service: str, alarm: str) -> Iterator[None]:
        """Set the alarm to ALARM when green has a part of the traffic, and to OK at the end of the block."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(POLL_SECONDS):
                if 0 < self._green_share(service) < FULL:
                    self._set_alarm(alarm, "ALARM")
                    return

        thread = threading.Thread(target=watch, name="canary")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._set_alarm(alarm, "OK")

    def _green_share(self, service: str) -> float:
        """Return the percentage of the production traffic that green has; 0 without a deployment."""
        (described,) = self._ecs.describe_services(cluster=ENVIRONMENT, services=[service])["services"]
        if "currentServiceDeployment" not in described:
            return 0.0
        arns = [described["currentServiceDeployment"]]
        (deployment,) = self._ecs.describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"]
        return float(deployment["targetServiceRevision"]["requestedProductionTrafficWeight"])

    def _set_alarm(self, alarm: str, state: str) -> None:
        self._control("alarm", {"name": alarm, "state": state})

    def _control(self, action: str, arguments: Mapping[str, str]) -> None:
        """Call an action of the fake that AWS does not have. Raises httpx2.HTTPStatusError."""
        route = httpx2.HTTPTransport(proxy=proxy_for(self._stack.ecs_address))
        with httpx2.Client(base_url=self._stack.ecs_address, transport=route) as http:
            http.post(f"{ADMIN}{action}", json=arguments).raise_for_status()


@contextlib.contextmanager
def open_account(stack: EcsStack) -> Iterator[DeployAccount]:
    session: Any = fake_session()  # its stubs accept literal names only
    with (
        contextlib.closing(session.client("ecs", endpoint_url=stack.ecs_address)) as ecs,
        contextlib.closing(session.client("ecr", endpoint_url=stack.endpoints["ecr"])) as ecr,
    ):
        yield DeployAccount(stack, ecs, ecr)
