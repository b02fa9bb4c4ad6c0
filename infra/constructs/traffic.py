"""Routing to the API's tasks: target groups, and listener rules whose traffic a deployment shifts between them."""

from cdktn import TerraformResourceLifecycle
from cdktn_provider_aws.lb_listener_rule import (
    LbListenerRule,
    LbListenerRuleAction,
    LbListenerRuleActionForward,
    LbListenerRuleActionForwardTargetGroup,
    LbListenerRuleCondition,
    LbListenerRuleConditionHostHeader,
    LbListenerRuleConditionPathPattern,
)
from cdktn_provider_aws.lb_target_group import LbTargetGroup, LbTargetGroupHealthCheck

from infra.constructs.load_balancer import API_PORT
from infra.constructs.outputs import PlatformOutputs
from infra.constructs.workspace import Workspace
from infra.environments import Environment
from infra.naming import TARGET_GROUP_LENGTH, name, rule_priority

DEREGISTRATION_SECONDS = 30
"""Seconds in which requests in flight can end when a task is stopped. No request of the API takes longer."""

PUBLIC_PATHS = ("/v1/*", "/pages/*")
"""Paths that are exposed to the internet. All must fit into one rule, because ECS shifts a single production rule. A
rule can have five condition values, of which the host is one. Health checks need no rule."""

SERVING = "/serving"
CHECK_SECONDS = 5
CHECK_TIMEOUT_SECONDS = 4
CHECKS = 2
"""Consecutive health checks that change a target's state. Interval and threshold are ELB's minimums."""

LAME_DUCK_SECONDS = 20
"""Seconds for which a task keeps serving after SIGTERM, while `/serving` responds with 503. The target group stops
sending requests within half of this time."""


class Traffic:
    """Target groups and listener rules of the API.

    Rolling deployments need one target group and a production rule; blue/green needs two groups, and also a test rule.
    """

    def __init__(self, stack: Workspace, environment: Environment, platform: PlatformOutputs) -> None:
        self._stack = stack
        self._environment = environment
        self._platform = platform
        colours = ("blue", "green") if environment.deployment.shifts_traffic else ("blue",)
        self.target_groups = [self._target_group(colour) for colour in colours]
        self.production_rule = self._rule("production", platform.https_listener_arn)
        self.test_rule = self._rule("test", platform.test_listener_arn) if len(colours) > 1 else None

    @property
    def rules(self) -> list[LbListenerRule]:
        return [rule for rule in (self.production_rule, self.test_rule) if rule is not None]

    def _target_group(self, colour: str) -> LbTargetGroup:
        return LbTargetGroup(
            self._stack,
            f"{colour}_target_group",
            name=name(self._environment.name, "api", colour, limit=TARGET_GROUP_LENGTH),
            vpc_id=self._platform.vpc_id,
            target_type="ip",
            port=API_PORT,
            protocol="HTTP",
            deregistration_delay=str(DEREGISTRATION_SECONDS),
            load_balancing_algorithm_type="least_outstanding_requests",
            health_check=LbTargetGroupHealthCheck(
                path=SERVING,
                interval=CHECK_SECONDS,
                timeout=CHECK_TIMEOUT_SECONDS,
                healthy_threshold=CHECKS,
                unhealthy_threshold=CHECKS,
                matcher="200",
            ),
            # When a service changes to rolling, green is destroyed after the service and the rule no longer use it.
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        )

    def _rule(self, label: str, listener_arn: str) -> LbListenerRule:
        return LbListenerRule(
            self._stack,
            f"{label}_rule",
            listener_arn=listener_arn,
            priority=rule_priority(self._environment.name),
            condition=[
                LbListenerRuleCondition(
                    host_header=LbListenerRuleConditionHostHeader(values=[self._environment.api_host])
                ),
                LbListenerRuleCondition(path_pattern=LbListenerRuleConditionPathPattern(values=list(PUBLIC_PATHS))),
            ],
            action=[
                LbListenerRuleAction(
                    type="forward",
                    forward=LbListenerRuleActionForward(
                        target_group=[
                            LbListenerRuleActionForwardTargetGroup(arn=group.arn, weight=100 if first else 0)
                            for first, group in zip((True, False), self.target_groups, strict=False)
                        ]
                    ),
                )
            ],
            # ECS sets the weights after the creation: a plan must not shift traffic back to old tasks.
            lifecycle=TerraformResourceLifecycle(
                create_before_destroy=True, ignore_changes=["action"] if len(self.target_groups) > 1 else None
            ),
        )
