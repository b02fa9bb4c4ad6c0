"""Names of resources: readable, with their owner, and never longer than AWS allows."""

from hashlib import sha256

TARGET_GROUP_LENGTH = 32  # Elastic Load Balancing; load balancers too
ROLE_LENGTH = 64  # IAM

_HASH_LENGTH = 6


def name(*parts: str, limit: int) -> str:
    """Join the parts by dashes, shortened to the limit."""
    whole = "-".join(parts)
    return shortened(whole, limit, of=whole)


def shortened(text: str, limit: int, *, of: str) -> str:
    """Shorten a name that is too long; it then ends in a hash of `of`, the object that it names."""
    if len(text) <= limit:
        return text
    digest = sha256(of.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{text[: limit - _HASH_LENGTH - 1].rstrip('-')}-{digest}"


def instances_provider(cluster: str) -> str:
    """Return the name of the capacity provider of a cluster's instances."""
    return f"{cluster}-instances"


def blue_target_group(environment: str) -> str:
    """Return the name of the first target group: the only one of a rolling service, or blue."""
    return name(environment, "api", "blue", limit=TARGET_GROUP_LENGTH)


def insights_log_group(cluster: str) -> str:
    """Return the name of the log group that Container Insights writes to."""
    return f"/aws/ecs/containerinsights/{cluster}/performance"


def rule_priority(environment: str) -> int:
    """Return the priority of an environment's listener rule: 100 to 49,999, stable, and very likely unique."""
    return 100 + int.from_bytes(sha256(environment.encode()).digest()[:4], "big") % 49_900
