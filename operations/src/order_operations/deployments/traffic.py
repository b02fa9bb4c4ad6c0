"""Production and test traffic from the load balancer to blue and green."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from order_operations.deployments.checks import Check, Override, Verdict
from order_operations.deployments.errors import DeploymentRefused
from order_operations.deployments.fleet import Service
from order_operations.deployments.service_ref import ServiceRef

ALL = 100


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Targets of a group, without those that are draining."""

    healthy: int
    starting: int
    """Targets whose first health checks have not ended."""
    total: int


class Traffic:
    """Reader of the load balancer's rules and target health. `elb` is a boto3 client for `elbv2`."""

    def __init__(self, elb: Any) -> None:
        self._elb = elb

    def weights(self, rule_arn: str) -> dict[str, int]:
        """Return the percentage of a rule's requests that each target group receives, by target group ARN."""
        rule = self._elb.describe_rules(RuleArns=[rule_arn])["Rules"][0]
        (action,) = (action for action in rule["Actions"] if action["Type"] == "forward")
        groups = action.get("ForwardConfig", {}).get("TargetGroups") or [{"TargetGroupArn": action["TargetGroupArn"]}]
        total = sum(group.get("Weight", 1) for group in groups) or 1
        return {group["TargetGroupArn"]: round(ALL * group.get("Weight", 1) / total) for group in groups}

    def targets(self, group_arn: str) -> Targets:
        states_by_target = self._elb.describe_target_health(TargetGroupArn=group_arn)["TargetHealthDescriptions"]
        states = [target["TargetHealth"]["State"] for target in states_by_target]
        return Targets(
            healthy=states.count("healthy"),
            starting=states.count("initial"),
            total=sum(state != "draining" for state in states),
        )

    def is_settling(self, service: Service) -> bool:
        """Return whether tasks or targets still start, as after a scale-out or when ECS replaces a task."""
        if 0 < service.running < service.desired:
            return True
        if service.production_rule is None:
            return False
        return any(self.targets(group).starting for group in self._live_groups(service.production_rule))

    def _live_groups(self, rule_arn: str) -> list[str]:
        return [group for group, weight in self.weights(rule_arn).items() if weight]

    def test_url(self, service: Service) -> str:
        """Return the base URL of green behind the test listener. Raises DeploymentRefused if there is none."""
        if service.test_rule is None:
            raise DeploymentRefused("the service has no test listener: give green's base URL with --test-url")
        rule = self._elb.describe_rules(RuleArns=[service.test_rule])["Rules"][0]
        hosts = [value for condition in rule["Conditions"] for value in _hosts(condition)]
        if not hosts:
            raise DeploymentRefused(
                "the rule of the test listener names no host: give green's base URL with --test-url"
            )
        listener = service.test_rule.replace(":listener-rule/", ":listener/").rpartition("/")[0]
        port = self._elb.describe_listeners(ListenerArns=[listener])["Listeners"][0]["Port"]
        return f"https://{hosts[0]}:{port}"

    def check(self, service: Service, ref: ServiceRef) -> Iterator[Check]:
        """Check that one target group receives all requests and that its targets are healthy.

        Otherwise a rollback would not be possible. If no task runs, the group must have no targets.
        """
        if service.production_rule is None:
            yield Check("traffic", Verdict.SKIP, "the service has no traffic to shift")
            return
        weights = self.weights(service.production_rule)
        unknown = set(weights) - set(service.target_groups)
        live = [group for group, weight in weights.items() if weight == ALL]
        if unknown or len(live) != 1:
            yield Check(
                "traffic",
                Verdict.FAIL,
                f"the rule sends {_shown(weights)}: one of its two groups must have 100 %",
                remedy=f"see `orderctl status {ref.place}`; if no deployment is under way, set the weights with "
                "`aws elbv2 modify-rule`",
            )
            return
        targets = self.targets(live[0])
        detail = f"all to {_group(live[0])}, {targets.healthy} of {targets.total} targets healthy"
        if targets.healthy == targets.total and bool(targets.total) == bool(service.running):
            yield Check("traffic", Verdict.OK, detail)
            return
        yield Check(
            Override.TARGETS,
            Verdict.FAIL,
            detail,
            remedy=f"see `aws elbv2 describe-target-health --target-group-arn {live[0]}`, or add `--despite "
            f"{Override.TARGETS} --reason …` to deploy nevertheless",
        )


def _hosts(condition: Mapping[str, Any]) -> list[str]:
    return list(condition.get("HostHeaderConfig", {}).get("Values", ()))


def _shown(weights: Mapping[str, int]) -> str:
    return ", ".join(f"{weight} % to {_group(group)}" for group, weight in weights.items())


def _group(arn: str) -> str:
    """Return the name of a target group, from `arn:…:targetgroup/<name>/<id>`."""
    return arn.split("/")[1]
