"""AWS prices for the cost estimates. Check them before you rely on an estimate.

Standard library only. docs/scale.md has the costs of a million orders, docs/costs.md those of an environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass

LOOKED_UP = "2026-11-21"
"""Date on which the prices were looked up, in copies of AWS's lists and in public projects, not on AWS's own site."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """On-demand prices in US dollars in eu-central-1, for the first pricing tier, without tax, free tier or discount.

    Source: the region's public price lists of these dates, unless a field states another source: DynamoDB
    2026-08-15, SQS 2025-08-28, Fargate 2026-07-07 (x86) and 2026-09-11 (ARM), load balancing 2026-07-20 and
    2026-09-11, CloudWatch 2026-08-06, VPC 2026-09-17, EC2 2026-09-25, ECR and Secrets Manager 2026-09-11.
    """

    million_write_units: float = 0.7625
    """Price of a million writes. Since November 2024, each replica adds the same price for its replicated writes."""
    million_read_units: float = 0.1525
    write_capacity_hour: float = 0.000793
    """Price of one unit for one hour. This price and the next are from an undated copy of the price list, whose storage
    prices agree with the other sources."""
    read_capacity_hour: float = 0.0001586
    stored_gb_month: float = 0.306
    recovery_gb_month: float = 0.2448
    """Price of point-in-time recovery per GB stored, from the list of 2026-09-11."""
    million_queue_requests: float = 0.40
    million_pipe_requests: float = 0.40
    """Price of us-east-1, as of 2026, like the topic's."""
    million_topic_requests: float = 0.50

    vcpu_hour: float = 0.04656
    memory_gb_hour: float = 0.00511
    arm_vcpu_hour: float = 0.03725
    arm_memory_gb_hour: float = 0.00409
    """Price of ap-northeast-2, where the vCPU hour costs the same as here."""
    spot_share: float = 0.336
    """Spot price as a fraction of the on-demand price, in sa-east-1 (eu-west-1 had 0.330). It varies, and no value was
    found for eu-central-1."""
    volume_gb_month: float = 0.0952
    """Price of gp3 at its minimum throughput."""

    nat_hour: float = 0.052
    nat_gb: float = 0.052
    endpoint_hour: float = 0.012
    """Price of an interface endpoint in one zone."""
    endpoint_gb: float = 0.01
    """Price from the list of 2026-09-22."""
    address_hour: float = 0.005
    """Price of a public IPv4 address, in use or not."""
    balancer_hour: float = 0.027
    balancer_unit_hour: float = 0.008
    zone_month: float = 0.50
    """Price of a Route 53 zone, the same in every region."""
    firewall_month: float = 5.00
    """Price of a web ACL, the same in every region (AWS's blog); this price and the next two as of 2026."""
    firewall_rule_month: float = 1.00
    million_firewall_requests: float = 0.60

    key_month: float = 1.00
    """Price of a KMS key, from a bill of September 2026. Its first and second rotation each add the same amount."""
    secret_month: float = 0.40
    image_gb_month: float = 0.10
    object_gb_month: float = 0.0245
    """Price of S3 Standard, as of September 2024."""

    log_gb: float = 0.63
    log_gb_month: float = 0.0324
    """Price from the list of 2026-09-11, like the next price."""
    alarm_month: float = 0.10
    metric_month: float = 0.30
    """Price of us-east-1, as of June 2026, like the dashboard's."""
    dashboard_month: float = 3.00
    enhanced_metric_month: float = 0.07
    """Price of Container Insights with enhanced observability in us-east-1, as of August 2026."""


@dataclass(frozen=True, kw_only=True)
class InstanceType:
    """Capacity of an EC2 instance for tasks, and its price in eu-central-1, Linux, on demand."""

    cpu: int
    """CPU units; 1,024 are one vCPU."""
    memory: int
    """Memory for tasks in MiB, assumed to be 93 per cent of the instance's memory."""
    tasks: int
    """Maximum number of tasks, each with its own network interface, with ENI trunking."""
    hour: float


INSTANCE_TYPES: Mapping[str, InstanceType] = {
    "m7g.large": InstanceType(cpu=2048, memory=7600, tasks=10, hour=0.0978),  # price card of 2026-09-25
    "m6i.large": InstanceType(cpu=2048, memory=7600, tasks=10, hour=0.115),  # price list of 2026-09-25
}
