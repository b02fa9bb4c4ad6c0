"""Autoscaling of a service's tasks, between its minimum and maximum, by metrics of its load."""

from collections.abc import Mapping
from typing import Any

from cdktn_provider_aws.appautoscaling_policy import (
    AppautoscalingPolicy,
    AppautoscalingPolicyTargetTrackingScalingPolicyConfiguration,
    AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecification,
    AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetrics,
    AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetricsMetricStat,
    AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetricsMetricStatMetric,
    AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetricsMetricStatMetricDimensions,
    AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationPredefinedMetricSpecification,
)
from cdktn_provider_aws.appautoscaling_target import AppautoscalingTarget
from cdktn_provider_aws.ecs_service import EcsService

from infra.constructs.alarms import Metric
from infra.constructs.workspace import Workspace

OUT_SECONDS = 30
IN_SECONDS = 300
"""Cooldowns after a scale-out and after a scale-in: tasks are added quickly and removed slowly."""

CPU_PER_CENT = 60

_Customized = AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecification
_Query = AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetrics
_Stat = AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetricsMetricStat
_Metric = (
    AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetricsMetricStatMetric
)
_Dimension = AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetricsMetricStatMetricDimensions  # noqa: E501 - the binding's own name


class Scaling:
    """Scaling policies of one service. The highest number of tasks applies: all policies must agree to remove tasks."""

    def __init__(
        self, stack: Workspace, service: EcsService, *, cluster: str, name: str, minimum: int, maximum: int
    ) -> None:
        self._stack = stack
        self._target = AppautoscalingTarget(
            stack,
            "scaling",
            service_namespace="ecs",
            resource_id=f"service/{cluster}/{name}",
            scalable_dimension="ecs:service:DesiredCount",
            min_capacity=minimum,
            max_capacity=maximum,
            depends_on=[service],
        )

    def track(self, label: str, expression: str, metrics: Mapping[str, Metric], target: float) -> None:
        """Add a policy that keeps the value of `expression` at the target.

        The expression refers to the metrics by their keys, and is evaluated in periods of one minute.
        """
        queries = [_Query(id="value", expression=expression, return_data=True)]
        queries += [
            _Query(
                id=key,
                return_data=False,
                metric_stat=_Stat(
                    stat=metric.stat,
                    metric=_Metric(
                        namespace=metric.namespace,
                        metric_name=metric.name,
                        dimensions=[_Dimension(name=name, value=value) for name, value in metric.dimensions.items()],
                    ),
                ),
            )
            for key, metric in metrics.items()
        ]
        self._policy(label, target, customized_metric_specification=_Customized(metrics=queries))

    def track_cpu(self) -> None:
        """Add a policy that keeps the average CPU usage at the target, so that busy tasks are not removed.

        Another metric, such as the queue's length, may be low only because there are enough tasks.
        """
        specification = AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationPredefinedMetricSpecification(
            predefined_metric_type="ECSServiceAverageCPUUtilization"
        )
        self._policy("cpu", CPU_PER_CENT, predefined_metric_specification=specification)

    def _policy(self, label: str, target: float, **specification: Any) -> None:
        AppautoscalingPolicy(
            self._stack,
            f"{label}_scaling",
            name=label,
            policy_type="TargetTrackingScaling",
            service_namespace=self._target.service_namespace,
            resource_id=self._target.resource_id,
            scalable_dimension=self._target.scalable_dimension,
            target_tracking_scaling_policy_configuration=AppautoscalingPolicyTargetTrackingScalingPolicyConfiguration(
                target_value=target, scale_out_cooldown=OUT_SECONDS, scale_in_cooldown=IN_SECONDS, **specification
            ),
        )


def running_tasks(cluster: str, service: str) -> Metric:
    """Return a metric of the number of running tasks: the count of CPU reports, which each task sends once a minute."""
    return Metric(
        namespace="AWS/ECS",
        name="CPUUtilization",
        stat="SampleCount",
        dimensions={"ClusterName": cluster, "ServiceName": service},
    )
