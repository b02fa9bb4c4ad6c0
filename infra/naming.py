"""Names of resources: what they are of, readable, and never longer than AWS takes."""

from hashlib import sha256

TARGET_GROUP_LENGTH = 32  # Elastic Load Balancing; load balancers too
ROLE_LENGTH = 64  # IAM

_HASH_LENGTH = 6


def name(*parts: str, limit: int) -> str:
    """The parts, joined by dashes, and not too long."""
    whole = "-".join(parts)
    return shortened(whole, limit, of=whole)


def shortened(text: str, limit: int, *, of: str) -> str:
    """What would be too long is cut, and ends in a hash of what it is the name `of`."""
    if len(text) <= limit:
        return text
    digest = sha256(of.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{text[: limit - _HASH_LENGTH - 1].rstrip('-')}-{digest}"


def instances_provider(cluster: str) -> str:
    """Return the name of the capacity provider of a cluster's instances."""
    return f"{cluster}-instances"


def blue_target_group(environment: str) -> str:
    """Return the name of the target group that a fleet which rolls has, and of the first of blue and green."""
    return name(environment, "api", "blue", limit=TARGET_GROUP_LENGTH)


def insights_log_group(cluster: str) -> str:
    """Return the log group that Container Insights writes to, whoever makes it."""
    return f"/aws/ecs/containerinsights/{cluster}/performance"


def rule_priority(environment: str) -> int:
    """Of an environment's listener rule: 100 to 49,999, the same in every run, and most likely its own."""
    return 100 + int.from_bytes(sha256(environment.encode()).digest()[:4], "big") % 49_900
