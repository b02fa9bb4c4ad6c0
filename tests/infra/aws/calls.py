"""The API calls that the provider makes of our arguments, checked against botocore's models of the APIs.

botocore's own validation ignores patterns and enumerations; this one does not. Arguments find their members by name, as
properties do in `schemas.py`; only what differs is listed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, Shape, StringShape, StructureShape

from tests.infra.aws.rules import is_accepted
from tests.infra.aws.schemas import member_named
from tests.infra.aws.values import request_of
from tests.infra.synthesis import Resource


@dataclass(frozen=True)
class Call:
    """One operation of one API."""

    service: str
    operation: str
    members: dict[str, str] = field(default_factory=dict)
    """Member of each argument whose name differs, below the member of its block: `Outer.Inner` nests, `.` is the
    block's own structure, and an argument without a member belongs to another call."""


CALLS = {
    "aws_appautoscaling_policy": Call("application-autoscaling", "PutScalingPolicy", {"name": "PolicyName"}),
    "aws_appautoscaling_target": Call("application-autoscaling", "RegisterScalableTarget"),
    "aws_autoscaling_group": Call(
        "autoscaling",
        "CreateAutoScalingGroup",
        {
            "force_delete": "",
            "instance_refresh": "",
            "launch_template.id": "LaunchTemplateId",
            "name": "AutoScalingGroupName",
            "protect_from_scale_in": "NewInstancesProtectedFromScaleIn",
        },
    ),
    "aws_cloudwatch_log_metric_filter": Call(
        "logs",
        "PutMetricFilter",
        {
            "metric_transformation": "metricTransformations",
            "metric_transformation.name": "metricName",
            "metric_transformation.namespace": "metricNamespace",
            "metric_transformation.value": "metricValue",
            "name": "filterName",
            "pattern": "filterPattern",
        },
    ),
    "aws_cloudwatch_metric_alarm": Call(
        "cloudwatch",
        "PutMetricAlarm",
        {
            "metric_query": "Metrics",
            "metric_query.metric": "MetricStat",
            "metric_query.metric.dimensions": "Metric.Dimensions",
            "metric_query.metric.metric_name": "Metric.MetricName",
            "metric_query.metric.namespace": "Metric.Namespace",
        },
    ),
    "aws_ecr_repository": Call(
        "ecr",
        "CreateRepository",
        {
            "force_delete": "",
            "image_tag_mutability_exclusion_filter.filter": "filter",
            "name": "repositoryName",
        },
    ),
    "aws_ecs_account_setting_default": Call("ecs", "PutAccountSettingDefault"),
    "aws_ecs_capacity_provider": Call("ecs", "CreateCapacityProvider"),
    "aws_ecs_cluster": Call("ecs", "CreateCluster", {"name": "clusterName", "setting": "settings"}),
    "aws_ecs_service": Call(
        "ecs",
        "CreateService",
        {
            "alarms": "deploymentConfiguration.alarms",
            "deployment_circuit_breaker": "deploymentConfiguration.deploymentCircuitBreaker",
            "deployment_maximum_percent": "deploymentConfiguration.maximumPercent",
            "deployment_minimum_healthy_percent": "deploymentConfiguration.minimumHealthyPercent",
            "force_new_deployment": "",
            "name": "serviceName",
            "network_configuration": "networkConfiguration.awsvpcConfiguration",
            "network_configuration.assign_public_ip": "",
            "ordered_placement_strategy": "placementStrategy",
        },
    ),
    "aws_ecs_task_definition": Call("ecs", "RegisterTaskDefinition", {"skip_destroy": ""}),
    "aws_iam_instance_profile": Call("iam", "CreateInstanceProfile", {"name": "InstanceProfileName", "role": ""}),
    "aws_iam_policy": Call("iam", "CreatePolicy", {"name": "PolicyName", "policy": "PolicyDocument"}),
    "aws_iam_role": Call("iam", "CreateRole", {"assume_role_policy": "AssumeRolePolicyDocument", "name": "RoleName"}),
    "aws_iam_role_policy": Call(
        "iam", "PutRolePolicy", {"name": "PolicyName", "policy": "PolicyDocument", "role": "RoleName"}
    ),
    "aws_kms_alias": Call("kms", "CreateAlias", {"name": "AliasName"}),
    "aws_kms_key": Call("kms", "CreateKey", {"deletion_window_in_days": "", "enable_key_rotation": ""}),
    "aws_lb": Call(
        "elbv2",
        "CreateLoadBalancer",
        {
            "access_logs": "",
            "desync_mitigation_mode": "",
            "drop_invalid_header_fields": "",
            "enable_deletion_protection": "",
            "idle_timeout": "",
            "internal": "",
            "load_balancer_type": "Type",
        },
    ),
    "aws_lb_listener": Call(
        "elbv2",
        "CreateListener",
        {
            "certificate_arn": "",
            "default_action": "DefaultActions",
            "default_action.fixed_response": "FixedResponseConfig",
            "default_action.redirect": "RedirectConfig",
        },
    ),
    "aws_lb_listener_rule": Call(
        "elbv2",
        "CreateRule",
        {
            "action.forward": "ForwardConfig",
            "action.forward.target_group": "TargetGroups",
            "action.forward.target_group.arn": "TargetGroupArn",
            "condition.host_header": "HostHeaderConfig",
            "condition.path_pattern": "PathPatternConfig",
        },
    ),
    "aws_lb_target_group": Call(
        "elbv2",
        "CreateTargetGroup",
        {
            "deregistration_delay": "",
            "health_check": ".",
            "health_check.healthy_threshold": "HealthyThresholdCount",
            "health_check.interval": "HealthCheckIntervalSeconds",
            "health_check.matcher": "Matcher.HttpCode",
            "health_check.path": "HealthCheckPath",
            "health_check.timeout": "HealthCheckTimeoutSeconds",
            "health_check.unhealthy_threshold": "UnhealthyThresholdCount",
            "load_balancing_algorithm_type": "",
        },
    ),
    "aws_pipes_pipe": Call("pipes", "CreatePipe"),
    "aws_secretsmanager_secret": Call("secretsmanager", "CreateSecret", {"recovery_window_in_days": ""}),
    "aws_wafv2_web_acl": Call("wafv2", "CreateWebACL", {"rule_json": "Rules"}),
    "aws_wafv2_web_acl_logging_configuration": Call(
        "wafv2",
        "PutLoggingConfiguration",
        {
            "log_destination_configs": "LoggingConfiguration.LogDestinationConfigs",
            "logging_filter": "LoggingConfiguration.LoggingFilter",
            "redacted_fields": "LoggingConfiguration.RedactedFields",
            "resource_arn": "LoggingConfiguration.ResourceArn",
        },
    ),
}


def faults_of(resource: Resource) -> Iterator[str]:
    """Yield what the model of its call has against a resource's arguments, each with the member's name."""
    call = CALLS[resource.kind]
    shape = _service(call.service).operation_model(call.operation).input_shape
    assert isinstance(shape, StructureShape)
    request: dict[str, Any] = {}
    yield from _fill(call, shape, request, request_of(resource), ())
    yield from _faults(shape, request, call.operation)


@cache
def _session() -> botocore.session.Session:
    return botocore.session.Session()


@cache
def _service(name: str) -> Any:
    return _session().get_service_model(name)


def _fill(
    call: Call, shape: StructureShape, into: dict[str, Any], block: dict[str, Any], path: tuple[str, ...]
) -> Iterator[str]:
    """Add a block's arguments to a structure; yield those that it has no member for."""
    for argument, value in block.items():
        place = (*path, argument)
        mapped = call.members.get(".".join(place))
        if mapped == "" or value is None:
            continue
        if mapped == ".":
            yield from _fill(call, shape, into, _one(value), place)
            continue
        *outer, last = (mapped or argument).split(".")
        target, inside = into, shape
        for name in outer:
            target, inside = target.setdefault(name, {}), _structure(inside.members[name])
        member = member_named(inside.members, last)
        if member is None:
            yield f"{call.operation} has no member for {'.'.join(place)}"
            continue
        yield from _set(call, inside.members[member], target, member, value, place)


def _set(
    call: Call, shape: Shape, target: dict[str, Any], member: str, value: Any, path: tuple[str, ...]
) -> Iterator[str]:
    if isinstance(shape, StructureShape) and not isinstance(value, str):
        inner = target.setdefault(member, {})
        yield from _fill(call, shape, inner, _one(value), path)
    elif isinstance(shape, ListShape) and isinstance(shape.member, StructureShape):
        blocks = value if isinstance(value, list) else [value]
        elements: list[dict[str, Any]] = [{} for _ in blocks]
        for element, block in zip(elements, blocks, strict=True):
            yield from _fill(call, shape.member, element, block, path)
        target[member] = elements
    else:
        target[member] = value


def _structure(shape: Shape) -> StructureShape:
    assert isinstance(shape, StructureShape)
    return shape


def _one(value: Any) -> dict[str, Any]:
    """Return the block, which Terraform may write as a list of one."""
    block: dict[str, Any] = value[0] if isinstance(value, list) else value
    return block


def _faults(shape: Shape, value: Any, place: str) -> Iterator[str]:
    if isinstance(value, str) and "${" in value:
        return
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            if name not in value:
                yield f"{place}.{name} is missing"
        for name, member in value.items():
            yield from _faults(shape.members[name], member, f"{place}.{name}")
    elif isinstance(shape, ListShape):
        yield from _limits(shape, len(value), place, "elements")
        for element in value:
            yield from _faults(shape.member, element, place)
    elif isinstance(shape, StringShape):
        yield from _text_faults(shape, str(value), place)
    elif shape.type_name in {"integer", "long", "double", "float"}:
        yield from _limits(shape, float(value), place, "")


def _text_faults(shape: StringShape, text: str, place: str) -> Iterator[str]:
    allowed = shape.enum
    pattern = shape.metadata.get("pattern")
    yield from _limits(shape, len(text), place, "characters")
    if allowed and text not in allowed:
        yield f"{place} is {text!r}: allowed are {', '.join(allowed)}"
    if pattern and not is_accepted(pattern, text):
        yield f"{place} is {text!r}, which does not match {pattern}"


def _limits(shape: Shape, number: float, place: str, unit: str) -> Iterator[str]:
    least, most = shape.metadata.get("min", number), shape.metadata.get("max", number)
    if not least <= number <= most:
        yield f"{place} is {number} {unit}".rstrip() + f": {least} to {most} is allowed"
