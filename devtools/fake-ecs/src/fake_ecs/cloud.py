"""Interface to the AWS services that ECS calls, and its implementation with their public APIs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from botocore.exceptions import ClientError

PLATFORM = "arm64"
"""Architecture of the tasks."""


class Cloud(Protocol):
    def digest(self, reference: str) -> str | None:
        """Return the digest of the image that `registry/repository:tag` refers to now; None if there is none."""

    def platform_digest(self, reference: str) -> str | None:
        """Return the digest of the image that an index has for the tasks' platform; None if there is none."""

    def alarming(self, names: Sequence[str]) -> frozenset[str]:
        """Return the names of those alarms that are in ALARM."""
        ...

    def route(self, rule: str, weights: Mapping[str, int]) -> None:
        """Set the weights of a listener rule, by target group."""

    def register(self, group: str, addresses: Sequence[str], port: int) -> None: ...

    def deregister(self, group: str, addresses: Sequence[str], port: int) -> None: ...


class AwsCloud:
    """Implementation with boto3 clients of `ecr`, `elbv2` and `cloudwatch`."""

    def __init__(self, ecr: Any, elbv2: Any, cloudwatch: Any) -> None:
        self.ecr = ecr
        self.elbv2 = elbv2
        self.cloudwatch = cloudwatch

    def digest(self, reference: str) -> str | None:
        path = reference.partition("/")[2]
        if "@" in path:
            repository, _, digest = path.partition("@")
            image_id = {"imageDigest": digest}
        else:
            repository, _, tag = path.partition(":")
            image_id = {"imageTag": tag or "latest"}
        try:
            found = self.ecr.batch_get_image(repositoryName=repository, imageIds=[image_id])["images"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "RepositoryNotFoundException":
                return None
            raise
        return str(found[0]["imageId"]["imageDigest"]) if found else None

    def platform_digest(self, reference: str) -> str | None:
        repository, _, tag = reference.partition("/")[2].partition(":")
        found = self.ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])["images"]
        entries = json.loads(found[0]["imageManifest"]).get("manifests", ()) if found else ()
        return next((str(each["digest"]) for each in entries if each["platform"]["architecture"] == PLATFORM), None)

    def alarming(self, names: Sequence[str]) -> frozenset[str]:
        if not names:
            return frozenset()
        answer = self.cloudwatch.describe_alarms(AlarmNames=list(names), StateValue="ALARM")
        return frozenset(alarm["AlarmName"] for alarm in answer["MetricAlarms"])

    def route(self, rule: str, weights: Mapping[str, int]) -> None:
        groups = [{"TargetGroupArn": group, "Weight": weight} for group, weight in weights.items()]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
        self.elbv2.modify_rule(RuleArn=rule, Actions=[action])

    def register(self, group: str, addresses: Sequence[str], port: int) -> None:
        self.elbv2.register_targets(TargetGroupArn=group, Targets=_targets(addresses, port))

    def deregister(self, group: str, addresses: Sequence[str], port: int) -> None:
        self.elbv2.deregister_targets(TargetGroupArn=group, Targets=_targets(addresses, port))


def _targets(addresses: Sequence[str], port: int) -> list[dict[str, object]]:
    return [{"Id": address, "Port": port} for address in addresses]
