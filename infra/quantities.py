"""Quantities of an environment that do not follow from its settings; `costs.py` multiplies them by prices."""

from order_shared.tables import OPEN_ORDERS_INDEX

HOURS = 730
"""Hours of a month, as AWS bills it."""
DAYS = HOURS / 24
SECONDS = HOURS * 3600
MILLION = 1_000_000

# Resources of the stacks in one region.

KEYS = 3
"""KMS keys; a feature environment uses its host's."""
SECRETS = 2
ALARM_METRICS = 24
"""Metrics that alarms read: an alarm is billed for each of its metrics. One more with the alarm on no orders."""
GREEN_ALARM_METRICS = 3
"""Additional metrics with blue/green, whose alarms watch both target groups."""
CUSTOM_METRICS = 7
"""Metrics from log lines, by metric filters."""
FIREWALL_RULES = 4
VOLUME_GB = 30
"""Gigabytes of an instance's root volume."""

# Resources that AWS creates by itself.

SCALING_ALARMS = 4
"""Alarms of a service's two scaling policies: AWS creates two for each."""
CAPACITY_ALARMS = 8
"""Alarms of each table and index with provisioned capacity and autoscaling: four for reads, four for writes."""
INSTANCE_METRICS = 7
"""Metrics of the detailed monitoring of an instance."""
CLUSTER_METRICS = 8
"""Metrics of Container Insights for a cluster; the next value is for each service with its task family. Assumptions."""
SERVICE_METRICS = 17
ENHANCED_CLUSTER_METRICS = 23
"""Metrics of a cluster with enhanced observability. A public project counted this value and the next, for a service of
one task, in August 2026. Multiplied by the tasks, the next value is too high for a service of several tasks."""
ENHANCED_TASK_METRICS = 157

# Requests and data of an idle region. The gigabytes are assumptions.

SWEEP_QUERIES_PER_HOUR = {16: 18 * 3600 / 5 + 20 * 60, 128: 16 * 3600 / 5 + 32 * 60}
"""Of one idle processor, by the keys of `open_orders` that are written: a look each 5 s for what is overdue, and each
minute for what is parked."""
SWEEP_READ_UNITS = 0.5
"""Of one query."""
POLLS_PER_HOUR = 3600 / 20
"""Requests of one processor to an empty queue."""
FLOW_LOG_GB = 1.0
"""Gigabytes of the VPC's flow logs per month."""
TASK_LOG_GB = 0.05
"""Gigabytes of each task's log per month."""
TASK_EGRESS_GB = 1.0
"""Gigabytes per month of each task through NAT or interface endpoints: polls, log lines, its image's manifest."""
IMAGES_GB = 2.0
OBJECTS_GB = 1.0
"""The load balancer's logs, and Terraform's state."""

# Additions of an unpaid order of three lines: the figures of docs/scale.md.

ORDER_WRITES = {"orders": 4, OPEN_ORDERS_INDEX: 2, "orders_by_id": 1, "inventory": 6, "idempotency": 2}
"""Write units by table and index."""
ORDER_READS = 0.3
"""Read units of `inventory`; the sweeps' are counted separately."""
ORDER_QUEUE_REQUESTS = 0.3
ORDER_BALANCER_UNIT_HOURS = 1 / 90_000
"""Load balancer units by connections, a new one for each order."""
ORDER_LOG_GB = 700e-9
ORDER_STORED_GB = 911e-9
ORDER_EGRESS_GB = 3e-6
"""Gigabytes of messages and log lines; DynamoDB's endpoint is free. An assumption that docs/scale.md does not have."""
