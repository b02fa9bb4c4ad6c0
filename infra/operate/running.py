"""Checks that a change does not remove resources in use: EC2 instances, and the target group with the traffic."""

from collections.abc import Iterator
from typing import Any

from infra.environments import Environment
from infra.naming import blue_target_group, instances_provider
from order_shared.naming import ORDER_API
from orderctl.exceptions import Refused

PAGE = 10  # limit of DescribeServices


def require_instances_unused(ecs: Any, environment: Environment) -> None:
    """Raise Refused if a service still uses the cluster's EC2 instances, which the change would remove."""
    provider = instances_provider(environment.cluster)
    users = [
        service["serviceName"]
        for service in _services(ecs, environment.cluster)
        if any(provider == each["capacityProvider"] for each in _strategies(service))
    ]
    if users:
        raise Refused(
            f"{', '.join(users)} still run on the instances of {environment.cluster}, which this would remove. Set "
            "keep_instances=True in infra/environments.py and apply supporting and services; remove the setting when "
            "no service uses the instances any more"
        )


def require_blue_is_live(ecs: Any, elbv2: Any, environment: Environment) -> None:
    """Raise Refused if green has the API's traffic: a change to rolling deployments would remove green."""
    name = environment.service_name(ORDER_API.name)
    for service in _described(ecs, environment.cluster, [name]):
        for target in service.get("loadBalancers", ()):
            rule = target.get("advancedConfiguration", {}).get("productionListenerRule")
            if rule and not _is_on_blue(elbv2, rule, environment):
                raise Refused(
                    f"green has the traffic of {name}, and a rolling service has blue only: every request would fail. "
                    f"Start another deployment, which moves the traffic to blue: aws ecs update-service --cluster "
                    f"{environment.cluster} --service {name} --force-new-deployment; follow it with `make "
                    f"wait-deployments ENV={environment.name}`, and then apply again"
                )


def _is_on_blue(elbv2: Any, rule: str, environment: Environment) -> bool:
    blue = f":targetgroup/{blue_target_group(environment.name)}/"
    (found,) = elbv2.describe_rules(RuleArns=[rule])["Rules"]
    return all(
        blue in group["TargetGroupArn"]
        for action in found["Actions"]
        for group in action.get("ForwardConfig", {}).get("TargetGroups", ())
        if group.get("Weight", 1)
    )


def _strategies(service: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the capacity provider strategies of a service and of its deployments, including earlier ones with tasks."""
    for part in (service, *service.get("deployments", ())):
        yield from part.get("capacityProviderStrategy", ())


def _services(ecs: Any, cluster: str) -> Iterator[dict[str, Any]]:
    try:
        pages = list(ecs.get_paginator("list_services").paginate(cluster=cluster, PaginationConfig={"PageSize": PAGE}))
    except ecs.exceptions.ClusterNotFoundException:
        return
    for page in pages:
        yield from _described(ecs, cluster, page["serviceArns"])


def _described(ecs: Any, cluster: str, names: list[str]) -> list[dict[str, Any]]:
    if not names:
        return []
    try:
        found = ecs.describe_services(cluster=cluster, services=names)["services"]
    except ecs.exceptions.ClusterNotFoundException:
        return []
    return [service for service in found if service["status"] != "INACTIVE"]
