"""Number of a service's tasks, between its minimum and maximum, by the metrics of its load."""

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
"""Scale out soon; scale in only after five quiet minutes."""

CPU_PER_CENT = 60

_Customized = AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecification
_Query = AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetrics
_Stat = AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetricsMetricStat
_Metric = (
    AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetricsMetricStatMetric
)
_Dimension = AppautoscalingPolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationMetricsMetricStatMetricDimensions  # noqa: E501 - the binding's own name


class Scaling:
    """Scaling policies of one service. The highest count applies; tasks are removed only when all policies agree."""

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
        """Keep the expression over `metrics`, with periods of one minute, at the target."""
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
        """Keep busy tasks: another metric may look quiet only because there are enough tasks."""
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
    """Return the metric of the running tasks: each reports its CPU once a minute, so reports are counted."""
    return Metric(
        namespace="AWS/ECS",
        name="CPUUtilization",
        stat="SampleCount",
        dimensions={"ClusterName": cluster, "ServiceName": service},
    )
