"""How much of everything an environment has, where its choices do not say: what `costs.py` multiplies by prices."""

from order_shared.tables import OPEN_ORDERS_INDEX

HOURS = 730
"""Of a month, as AWS reckons."""
DAYS = HOURS / 24
SECONDS = HOURS * 3600
MILLION = 1_000_000

# What the stacks hold, each in one region.

KEYS = 3
"""KMS keys; a feature environment uses its host's."""
SECRETS = 2
ALARM_METRICS = 23
"""Metrics that alarms read: an alarm over several is billed for each. One more if silence is watched for."""
GREEN_ALARM_METRICS = 3
"""More, where a second fleet is watched beside the first."""
CUSTOM_METRICS = 7
"""Made of log lines by metric filters."""
FIREWALL_RULES = 4
VOLUME_GB = 30
"""Root volume of an instance."""

# What AWS makes by itself.

SCALING_ALARMS = 4
"""Of a service's two scaling policies: AWS makes two for each."""
CAPACITY_ALARMS = 8
"""Of each table and index whose capacity is provisioned and scaled: four for reads, four for writes."""
INSTANCE_METRICS = 7
"""Of the detailed monitoring of an instance."""
CLUSTER_METRICS = 8
"""Of Container Insights about a cluster, and below about each service with its task family: assumptions."""
SERVICE_METRICS = 17
ENHANCED_CLUSTER_METRICS = 23
"""With enhanced observability; this one and the next as a public project counted them in August 2026, the next for a
service of one task. Taken for each task, it is too much where a service has several."""
ENHANCED_TASK_METRICS = 157

# What a region does at rest. The gigabytes are assumptions.

SWEEP_QUERIES_PER_HOUR = {16: 18 * 3600 / 5 + 20 * 60, 128: 16 * 3600 / 5 + 32 * 60}
"""Of one idle processor, by the keys of `open_orders` that are written: a look each 5 s for what is overdue, and each
minute for what is parked."""
SWEEP_READ_UNITS = 0.5
"""Of one query."""
POLLS_PER_HOUR = 3600 / 20
"""Of one processor at an empty queue."""
FLOW_LOG_GB = 1.0
"""A month, of the VPC."""
TASK_LOG_GB = 0.05
"""A month, of each task."""
TASK_EGRESS_GB = 1.0
"""A month, between each task and what it reaches by NAT or interface endpoints: polls, log lines, its image's
manifest."""
IMAGES_GB = 2.0
OBJECTS_GB = 1.0
"""The load balancer's logs, and Terraform's state."""

# What an order of three lines adds, not paid: docs/scale.md's figures.

ORDER_WRITES = {"orders": 4, OPEN_ORDERS_INDEX: 2, "orders_by_id": 1, "inventory": 6, "idempotency": 2}
"""Write units by table and index."""
ORDER_READS = 0.3
"""Read units of `inventory`; those of the sweeps are counted apart."""
ORDER_QUEUE_REQUESTS = 0.3
ORDER_BALANCER_UNIT_HOURS = 1 / 90_000
"""By connections, a new one for each order."""
ORDER_LOG_GB = 700e-9
ORDER_STORED_GB = 911e-9
ORDER_EGRESS_GB = 3e-6
"""Messages and log lines; DynamoDB has a free way. An assumption, and not docs/scale.md's."""
