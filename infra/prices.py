"""The prices of AWS that this project reckons with: parameters, to be checked before anyone relies on them.

Standard library only. What a million orders cost is in docs/scale.md, what an environment costs in docs/costs.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

LOOKED_UP = "2026-11-21"
"""When all of them were looked up: in copies, and as public projects quote AWS's lists; never on AWS's own site."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """US dollars, on demand, in eu-central-1; no tax, no free tier, no discount, the first tier of each.

    From the region's public price lists as published on these days, unless a field says otherwise: DynamoDB
    2026-08-15, SQS 2025-08-28, Fargate 2026-07-07 (x86) and 2026-09-11 (ARM), load balancing 2026-07-20 and
    2026-09-11, CloudWatch 2026-08-06, VPC 2026-09-17, EC2 2026-09-25, ECR and Secrets Manager 2026-09-11.
    """

    million_write_units: float = 0.7625
    """Replicated ones cost as much since November 2024, in every region that holds a replica."""
    million_read_units: float = 0.1525
    write_capacity_hour: float = 0.000793
    """Of one unit; this one and the next from an undated copy, which agrees with the rest about storage."""
    read_capacity_hour: float = 0.0001586
    stored_gb_month: float = 0.306
    recovery_gb_month: float = 0.2448
    """Point-in-time recovery, for each GB stored. Read from the list on 2026-09-11."""
    million_queue_requests: float = 0.40

    vcpu_hour: float = 0.04656
    memory_gb_hour: float = 0.00511
    arm_vcpu_hour: float = 0.03725
    arm_memory_gb_hour: float = 0.00409
    """ap-northeast-2's, where the vCPU hour costs what it costs here."""
    spot_share: float = 0.336
    """Of the price on demand. sa-east-1's (eu-west-1 had 0.330): none of eu-central-1 was found. It moves."""
    volume_gb_month: float = 0.0952
    """gp3, at its least throughput."""

    nat_hour: float = 0.052
    nat_gb: float = 0.052
    endpoint_hour: float = 0.012
    """Of an interface endpoint in one zone."""
    endpoint_gb: float = 0.01
    """Read from the list on 2026-09-22."""
    address_hour: float = 0.005
    """Of a public IPv4 address, in use or not."""
    balancer_hour: float = 0.027
    balancer_unit_hour: float = 0.008
    zone_month: float = 0.50
    """Of a Route 53 zone, which has one price everywhere."""
    firewall_month: float = 5.00
    """Of a web ACL. WAF has one price everywhere (AWS's blog); this one and the next two as of 2026."""
    firewall_rule_month: float = 1.00
    million_firewall_requests: float = 0.60

    key_month: float = 1.00
    """Of a KMS key; from a bill of September 2026. AWS adds as much after its first and its second rotation."""
    secret_month: float = 0.40
    image_gb_month: float = 0.10
    object_gb_month: float = 0.0245
    """S3 Standard, as of September 2024."""

    log_gb: float = 0.63
    log_gb_month: float = 0.0324
    """Read from the list on 2026-09-11, as the next one."""
    alarm_month: float = 0.10
    metric_month: float = 0.30
    """us-east-1's, as of June 2026, and so is the dashboard's."""
    dashboard_month: float = 3.00
    enhanced_metric_month: float = 0.07
    """Of Container Insights with enhanced observability; us-east-1's, as of August 2026."""


@dataclass(frozen=True, kw_only=True)
class InstanceType:
    """What an EC2 instance gives to tasks, and its price in eu-central-1, Linux, on demand."""

    cpu: int
    """CPU units; 1,024 are one vCPU."""
    memory: int
    """MiB left for tasks; taken as 93 per cent of the whole."""
    tasks: int
    """How many may have an interface of their own, with ENI trunking."""
    hour: float


INSTANCE_TYPES: Mapping[str, InstanceType] = {
    "m7g.large": InstanceType(cpu=2048, memory=7600, tasks=10, hour=0.0978),  # price card of 2026-09-25
    "m6i.large": InstanceType(cpu=2048, memory=7600, tasks=10, hour=0.115),  # price list of 2026-09-25
}
