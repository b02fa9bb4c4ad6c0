"""Search for existing stacks: those whose state, in a bucket or in HCP Terraform, has resources."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from infra.operate.aws import Account, bucket_exists
from infra.operate.context import OperateContext
from infra.operate.hcp import workspaces_with_resources
from infra.operate.request import PROGRAM
from infra.stacks import Stack
from orderctl.exceptions import Refused


def existing_stacks(
    context: OperateContext,
    account: Account,
    environment: str,
    regions: Iterable[str],
    concerns: Callable[[Stack], bool],
) -> frozenset[Stack]:
    """Return the existing stacks of all owners for which `concerns` returns True.

    In S3, only `regions` are searched; in HCP Terraform, all regions. `environment` is for the message about a missing
    bucket.

    Raises:
        Refused: if a region has no state bucket, or the caller may not read it.
    """
    if context.organisation.hcp_organisation is not None:
        names = workspaces_with_resources(context, context.organisation.hcp_organisation)
        return frozenset(stack for name in names if (stack := Stack.of_workspace(name)) and concerns(stack))
    found: set[Stack] = set()
    for region in regions:
        s3, bucket = account.client("s3", region), account.state_bucket(region)
        if not bucket_exists(s3, account, bucket):
            raise Refused(f"there is no state bucket {bucket}; first run: {PROGRAM} bootstrap --env {environment}")
        found.update(_in_bucket(s3, bucket, concerns))
    return frozenset(found)


def _in_bucket(s3: Any, bucket: str, concerns: Callable[[Stack], bool]) -> list[Stack]:
    found = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", ()):
            stack = Stack.of_key(item["Key"])
            if stack is None or not concerns(stack):
                continue
            if _holds_resources(s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()):
                found.append(stack)
    return found


def _holds_resources(state: bytes) -> bool:
    """Return whether a state has resources other than data sources."""
    return any(resource["mode"] == "managed" for resource in json.loads(state).get("resources", ()))
