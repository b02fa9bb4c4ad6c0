"""Names of AWS resources: readable, with their owner, and never longer than AWS allows."""

from hashlib import sha256

TARGET_GROUP_LENGTH = 32  # limit of Elastic Load Balancing, for load balancers too
ROLE_LENGTH = 64  # limit of IAM

_HASH_LENGTH = 6


def name(*parts: str, limit: int) -> str:
    """Join the parts with dashes, and shorten the result to at most `limit` characters."""
    whole = "-".join(parts)
    return shortened(whole, limit, of=whole)


def shortened(text: str, limit: int, *, of: str) -> str:
    """Return the text if it has at most `limit` characters. Otherwise cut it, and append a hash of `of`.

    `of` identifies the named object, so that shortened names stay unique.
    """
    if len(text) <= limit:
        return text
    digest = sha256(of.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{text[: limit - _HASH_LENGTH - 1].rstrip('-')}-{digest}"


def instances_provider(cluster: str) -> str:
    """Return the name of the capacity provider of a cluster's instances."""
    return f"{cluster}-instances"


def blue_target_group(environment: str) -> str:
    """Return the name of the API's blue target group, which is the only one with rolling deployments."""
    return name(environment, "api", "blue", limit=TARGET_GROUP_LENGTH)


def insights_log_group(cluster: str) -> str:
    """Return the name of the log group that Container Insights writes to."""
    return f"/aws/ecs/containerinsights/{cluster}/performance"


def rule_priority(environment: str) -> int:
    """Return the priority of an environment's listener rule: 100 to 49,999, derived from the name, likely unique."""
    return 100 + int.from_bytes(sha256(environment.encode()).digest()[:4], "big") % 49_900
