"""Billed quantities that do not follow from an environment's settings. `costs.py` multiplies them by prices."""

from order_shared.tables import OPEN_ORDERS_INDEX, TENANT_ORDERS_INDEX

HOURS = 730
"""Hours of a month, as AWS bills it."""
DAYS = HOURS / 24
SECONDS = HOURS * 3600
MILLION = 1_000_000

# Resources of the stacks in one region.

KEYS = 3
"""KMS keys. A feature environment has none: it uses its host's keys."""
SECRETS = 3
ALARM_METRICS = 36
"""Metrics of all alarms, except the alarm on no orders and those of the next two values. An alarm is billed for each of
its metrics."""
HOME_ALARM_METRICS = 3
"""Additional alarm metrics of the home region: those of the alarm on its pipe."""
GREEN_ALARM_METRICS = 3
"""Additional alarm metrics with blue/green, since each alarm on a target group then has two."""
CUSTOM_METRICS = 9
"""Custom metrics that metric filters create from log lines."""
FIREWALL_RULES = 4
VOLUME_GB = 30
"""Gigabytes of an instance's root volume."""

# Resources that AWS creates by itself.

SCALING_ALARMS = 4
"""Alarms of a service's two scaling policies: AWS creates two for each."""
CAPACITY_ALARMS = 8
"""Alarms of each table and index with provisioned capacity and autoscaling: four for reads, four for writes."""
INSTANCE_METRICS = 7
"""Metrics of an instance's detailed monitoring."""
CLUSTER_METRICS = 8
"""Metrics of Container Insights for a cluster, and in the next value for a service with its task family. Assumed."""
SERVICE_METRICS = 17
ENHANCED_CLUSTER_METRICS = 23
"""Metrics of a cluster with enhanced observability. A public project counted this value and the next in August 2026,
for a service with one task. `costs.py` multiplies the next value by the number of tasks, which overestimates it."""
ENHANCED_TASK_METRICS = 157

# Requests and data of an idle region. The gigabytes are assumptions.

SWEEP_QUERIES_PER_HOUR = {16: 18 * 3600 / 5 + 20 * 60, 128: 16 * 3600 / 5 + 32 * 60}
"""Queries of one idle processor per hour, by the number of keys of `open_orders`: for overdue orders every 5 s, and for
parked orders every minute."""
SWEEP_READ_UNITS = 0.5
"""Read units of one query."""
POLLS_PER_HOUR = 3600 / 20
"""Requests of one processor to an empty queue per hour."""
CHANGE_POLLS_PER_HOUR = 4 * 3600 / 20
"""Requests of one notifier, with its four pollers, to an empty queue per hour."""
FLOW_LOG_GB = 1.0
"""Gigabytes of the VPC's flow logs per month."""
TASK_LOG_GB = 0.05
"""Gigabytes of each task's log per month."""
TASK_EGRESS_GB = 1.0
"""Gigabytes that each task sends through NAT or interface endpoints per month: polls, log lines, image manifests."""
IMAGES_GB = 2.0
OBJECTS_GB = 1.0
"""Gigabytes in S3: the load balancer's logs, and Terraform's state."""

# Quantities that one order of three lines without payment adds, from docs/scale.md.

ORDER_WRITES = {
    "orders": 4,
    OPEN_ORDERS_INDEX: 2,
    "orders_by_id": 1,
    TENANT_ORDERS_INDEX: 2,
    "inventory": 6,
    "idempotency": 2,
}
"""Write units by table and index."""
ORDER_READS = 0.3
"""Read units of `inventory`; those of the sweeper are counted separately."""
ORDER_QUEUE_REQUESTS = 0.3
ORDER_BALANCER_UNIT_HOURS = 1 / 90_000
"""Unit-hours of the load balancer, if each order opens a new connection."""
ORDER_LOG_GB = 700e-9
ORDER_STORED_GB = 1212e-9
ORDER_CHANGES = 2
"""Changes of an order in the stream: accepted, and confirmed. Each is one request to the pipe and one to the topic. AWS
does not say whether the pipe's reads of the stream are billed; they are left out."""
ORDER_CHANGE_QUEUE_REQUESTS = 2.4
"""The topic sends each change alone; the notifier receives and deletes changes in full batches."""
ORDER_EVENT_WRITES = 3
"""Write units of the events table under load, when one transaction appends the events of many orders. An assumption. An
order that is alone takes six for each of its two appends."""
ORDER_EVENT_READS = 4
"""Read units under load: for each change the order and its cursor."""
ORDER_EVENT_STORED_GB = 600e-9
"""Events of an order for 30 days, and its cursor for 60. An assumption."""
ORDER_EGRESS_GB = 3e-6
"""Gigabytes of messages and log lines; DynamoDB's endpoint is free. An assumption that docs/scale.md does not have."""
