"""Stack of order-api: tasks, traffic, alarms and scaling. Terraform ships no image: tasks run that of the live tag."""

from collections.abc import Mapping

from cdktn import App
from cdktn_provider_aws.cloudwatch_metric_alarm import CloudwatchMetricAlarm
from cdktn_provider_aws.ecs_service import (
    EcsServiceDeploymentConfiguration,
    EcsServiceDeploymentConfigurationCanaryConfiguration,
    EcsServiceDeploymentConfigurationLifecycleHook,
    EcsServiceDeploymentConfigurationLifecycleHookTimeoutConfiguration,
    EcsServiceDeploymentConfigurationLinearConfiguration,
    EcsServiceLoadBalancer,
    EcsServiceLoadBalancerAdvancedConfiguration,
)

from infra.alarms import API_ERRORS, API_LATENCY, API_ROLLBACK, NO_API, slowest_minutes
from infra.constructs.alarms import Alarms, Metric, filled_sum
from infra.constructs.load_balancer import API_PORT
from infra.constructs.log_metrics import log_metric
from infra.constructs.policies import Statement, trust
from infra.constructs.roles import Role
from infra.constructs.scaling import running_tasks
from infra.constructs.task import Task
from infra.constructs.traffic import LAME_DUCK_SECONDS, Traffic
from infra.environments import Environment, Strategy
from infra.services.service import run_service
from infra.services.workspace import ServiceWorkspace
from order_shared.naming import ORDER_API

SERVICE = ORDER_API

STOP_SECONDS = 60
"""Time from SIGTERM to SIGKILL. The API serves for up to 20 s, drains for 20, flushes for 5 and sends spans for 3."""

REQUESTS_PER_TASK = 6000
"""Target of requests per minute and task. Half a vCPU can serve four times as many (docs/scale.md)."""

FEWEST_REQUESTS = 20
"""Requests per minute that must be exceeded for a meaningful error rate."""


class OrderApi(ServiceWorkspace):
    def __init__(self, app: App, environment: Environment, region: str) -> None:
        super().__init__(app, SERVICE, environment, region)
        traffic = Traffic(self, environment, self.platform)
        infrastructure = self._infrastructure_role(traffic) if traffic.test_rule is not None else None
        alarms = [alarm.alarm_name for alarm in self._alarms(traffic)]
        self._alarm_without_tasks(traffic)
        scaling = run_service(
            self,
            self._task(),
            minimum=environment.api.minimum,
            maximum=environment.api.maximum,
            deployment=self._deployment(environment),
            alarm_names=alarms,
            needs=[*traffic.rules, *(infrastructure.policies if infrastructure else ())],
            health_check_grace_period_seconds=60,
            load_balancer=[self._target(traffic, infrastructure)],
        )
        # AWS's predefined metric of requests per target covers one target group, but blue/green has two.
        requests = self._of_fleets(traffic, "requests", "RequestCountPerTarget", "Sum")
        scaling.track("requests", filled_sum(requests), requests, REQUESTS_PER_TASK)
        scaling.track_cpu()

    def _task(self) -> Task:
        data, tokens = self.data, self.environment.tokens
        return self.task(
            size=self.environment.api,
            settings={
                "ORDER_LAME_DUCK_SECONDS": str(LAME_DUCK_SECONDS),
                "ORDER_PUBLIC_ADDRESS": f"https://{self.environment.api_host}",
                "ORDER_JWT_ISSUER": tokens.issuer,
                "ORDER_JWKS_URL": tokens.jwks_url,
                "ORDER_JWT_AUDIENCE": tokens.audience,
                "ORDER_JWT_AUDIENCE_CLAIM": tokens.audience_claim,
                "ORDER_JWT_TENANT_CLAIM": tokens.tenant_claim,
                "ORDER_JWT_CUSTOMER_CLAIM": tokens.customer_claim,
                "ORDER_JWT_SCOPE_CLAIMS": tokens.scope_claims,
                "ORDER_JWT_SCOPE_PREFIX": tokens.scope_prefix,
                "ORDER_STORES_HISTORY": str(self.environment.stores_history).lower(),
                "ORDER_API_REFERENCE": str(self.environment.api_reference).lower(),
            },
            secrets={
                "ORDER_CURSOR_SECRETS": data.cursor_secrets_arn,
                **({"ORDER_WEBHOOK_KEYS": data.webhook_keys_arn} if self.environment.webhooks else {}),
            },
            stop_timeout=STOP_SECONDS,
            statements=(
                Statement(
                    sid="Orders",
                    actions=[
                        "dynamodb:BatchGetItem",
                        "dynamodb:GetItem",
                        "dynamodb:PutItem",
                        "dynamodb:Query",
                        "dynamodb:UpdateItem",
                    ],
                    resources=[
                        data.orders_table_arn,
                        f"{data.orders_table_arn}/index/orders_by_id",
                        f"{data.orders_table_arn}/index/orders_by_reference",
                        f"{data.orders_table_arn}/index/tenant_orders",
                    ],
                ),
                Statement(
                    sid="Products",
                    actions=["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"],
                    resources=[data.inventory_table_arn, f"{data.inventory_table_arn}/index/products_by_tenant"],
                ),
                Statement(
                    sid="Claims",
                    actions=[
                        "dynamodb:ConditionCheckItem",
                        "dynamodb:DeleteItem",
                        "dynamodb:GetItem",
                        "dynamodb:PutItem",
                    ],
                    resources=[data.idempotency_table_arn],
                ),
                Statement(
                    sid="Events", actions=["dynamodb:GetItem", "dynamodb:Query"], resources=[data.events_table_arn]
                ),
                Statement(
                    sid="Webhooks",
                    actions=[
                        "dynamodb:BatchGetItem",
                        "dynamodb:DeleteItem",
                        "dynamodb:GetItem",
                        "dynamodb:PutItem",
                        "dynamodb:Query",
                        "dynamodb:UpdateItem",
                    ],
                    resources=[data.webhooks_table_arn],
                ),
                Statement(
                    sid="OfferWork",
                    actions=["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"],
                    resources=[data.queue_arn],
                ),
            ),
        )

    def _deployment(self, environment: Environment) -> EcsServiceDeploymentConfiguration:
        deployment = environment.deployment
        if deployment.strategy is Strategy.ROLLING:
            return EcsServiceDeploymentConfiguration(
                strategy="ROLLING", bake_time_in_minutes=str(slowest_minutes(API_ROLLBACK))
            )
        canary = EcsServiceDeploymentConfigurationCanaryConfiguration(
            canary_percent=deployment.step_percent, canary_bake_time_in_minutes=str(deployment.step_minutes)
        )
        linear = EcsServiceDeploymentConfigurationLinearConfiguration(
            step_percent=deployment.step_percent, step_bake_time_in_minutes=str(deployment.step_minutes)
        )
        return EcsServiceDeploymentConfiguration(
            strategy=deployment.strategy.value,
            bake_time_in_minutes=str(deployment.bake_minutes),
            canary_configuration=canary if deployment.strategy is Strategy.CANARY else None,
            linear_configuration=linear if deployment.strategy is Strategy.LINEAR else None,
            lifecycle_hook=[
                EcsServiceDeploymentConfigurationLifecycleHook(
                    target_type="PAUSE",
                    lifecycle_stages=["POST_TEST_TRAFFIC_SHIFT"],
                    timeout_configuration=EcsServiceDeploymentConfigurationLifecycleHookTimeoutConfiguration(
                        timeout_in_minutes=str(deployment.pause_minutes), action="ROLLBACK"
                    ),
                )
            ],
        )

    def _target(self, traffic: Traffic, infrastructure: Role | None) -> EcsServiceLoadBalancer:
        blue_green = None
        if infrastructure is not None and traffic.test_rule is not None:
            blue_green = EcsServiceLoadBalancerAdvancedConfiguration(
                alternate_target_group_arn=traffic.target_groups[1].arn,
                production_listener_rule=traffic.production_rule.arn,
                test_listener_rule=traffic.test_rule.arn,
                role_arn=infrastructure.arn,
            )
        return EcsServiceLoadBalancer(
            container_name=SERVICE.name,
            container_port=API_PORT,
            target_group_arn=traffic.target_groups[0].arn,
            advanced_configuration=blue_green,
        )

    def _infrastructure_role(self, traffic: Traffic) -> Role:
        """Create the role that ECS assumes to shift traffic between the target groups."""
        return Role(
            self,
            "order_api_infrastructure",
            description="Lets ECS move traffic between blue and green",
            # There is no condition, as in AWS's example:
            # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AmazonECSInfrastructureRolePolicyForLoadBalancers.html
            trust=trust("ecs.amazonaws.com"),
            leaves_last=True,  # a service that changes to rolling no longer uses the role
            statements=(
                Statement(
                    sid="MoveTraffic",
                    actions=["elasticloadbalancing:ModifyRule"],
                    resources=[rule.arn for rule in traffic.rules],
                ),
                Statement(
                    sid="RegisterTasks",
                    actions=["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"],
                    resources=[group.arn for group in traffic.target_groups],
                ),
                Statement(
                    sid="Look",
                    actions=[
                        "elasticloadbalancing:DescribeListeners",
                        "elasticloadbalancing:DescribeRules",
                        "elasticloadbalancing:DescribeTargetGroups",
                        "elasticloadbalancing:DescribeTargetHealth",
                    ],
                    resources=["*"],
                    wildcard="Elastic Load Balancing's descriptions take no resource",
                ),
            ),
        )

    def _alarms(self, traffic: Traffic) -> list[CloudwatchMetricAlarm]:
        """Create the alarms that roll back a deployment: errors over all target groups, and latency from the API's log.

        They also notify operators outside deployments.
        """
        alarms = Alarms(stack=self, topic_arn=self.platform.alarm_topic_arn)
        errors = self._of_fleets(traffic, "errors", "HTTPCode_Target_5XX_Count", "Sum")
        requests = self._of_fleets(traffic, "requests", "RequestCount", "Sum")
        every = _of_all_fleets(requests)
        failed = filled_sum(errors)
        return [
            alarms.make(
                API_ERRORS,
                f"IF({every} > {FEWEST_REQUESTS}, 100 * ({failed}) / ({every}), 0)",
                {**errors, **requests},
            ),
            # The load balancer's response time is not used: a client may wait for its order to end within a request.
            alarms.make(
                API_LATENCY, "accept", {"accept": log_metric(self.environment.name, "AcceptMilliseconds", "p99")}
            ),
        ]

    def _alarm_without_tasks(self, traffic: Traffic) -> None:
        """Create the alarm for no healthy task.

        The load balancer then sends the error responses itself, which the error metric of the targets does not count.
        """
        healthy = self._of_fleets(traffic, "healthy", "HealthyHostCount", "Maximum")
        # Without a running task there is no data point: the alarm needs missing data, not zeros from FILL.
        tasks = {"tasks": running_tasks(self.platform.cluster_name, self.service_name)}
        Alarms(stack=self, topic_arn=self.platform.alarm_topic_arn).make(
            NO_API, f"IF(tasks >= 1, {_of_all_fleets(healthy)}, 0)", {**healthy, **tasks}
        )

    def _of_fleets(self, traffic: Traffic, key: str, metric: str, stat: str) -> dict[str, Metric]:
        """Return a load balancer metric for each target group, with the ids `<key>_0` and `<key>_1`."""
        balancer = self.platform.load_balancer_arn_suffix
        return {
            f"{key}_{number}": Metric(
                namespace="AWS/ApplicationELB",
                name=metric,
                stat=stat,
                dimensions={"LoadBalancer": balancer, "TargetGroup": group.arn_suffix},
            )
            for number, group in enumerate(traffic.target_groups)
        }


def _of_all_fleets(metrics: Mapping[str, Metric]) -> str:
    """Return an expression for the sum of a metric over the target groups.

    Of two groups, one may be idle and without data, which counts as 0. For a single group, missing data stays missing.
    """
    return filled_sum(metrics) if len(metrics) > 1 else next(iter(metrics))
