"""Stacks as they were before they could be changed: each function takes one of the causes back."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.infra.synthesis import Json, Stack

GROUP, RULE = "aws_security_group", "aws_vpc_security_group_egress_rule"


def changed(stack: Stack, change: Callable[[Json], Any]) -> Stack:
    """Return a copy of a stack whose resources a function has changed."""
    body = copy.deepcopy(stack.body)
    change(body["resource"])
    return replace(stack, body=body)


def other_text(resources: Json) -> None:
    resources[GROUP]["security_group"]["description"] = "Another text"


def named(resources: Json) -> None:
    group = resources[GROUP]["security_group"]
    group["name"] = group.pop("name_prefix").removesuffix("-")


def without_lifecycle(kind: str, name: str) -> Callable[[Json], Any]:
    return lambda resources: resources[kind][name].pop("lifecycle")


def deregistered(resources: Json) -> None:
    resources["aws_ecs_task_definition"]["task_definition"]["skip_destroy"] = False


def larger(resources: Json) -> None:
    resources["aws_ecs_task_definition"]["task_definition"]["cpu"] = "4096"


def by_cloud_control(resources: Json) -> None:
    """Make the web ACL as decision 14 had it: a plan does not know its outputs once anything of it changes."""
    rules = resources.pop("aws_wafv2_web_acl")["web_acl"]["rule_json"]
    acl = {"type_name": "AWS::WAFv2::WebACL", "desired_state": rules}
    resources["aws_cloudcontrolapi_resource"] = {"web_acl": acl}
    arn = '${lookup(jsondecode(aws_cloudcontrolapi_resource.web_acl.properties), "Arn")}'
    resources["aws_wafv2_web_acl_association"]["web_acl_association"]["web_acl_arn"] = arn
    resources["aws_wafv2_web_acl_logging_configuration"]["web_acl_logging"]["resource_arn"] = arn
