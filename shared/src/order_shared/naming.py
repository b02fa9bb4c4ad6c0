"""The table of services, one row each. Standard library only: infrastructure and operators' commands import it too.

`python -m order_shared.naming` prints the names in deployment order.
"""

from dataclasses import dataclass
from enum import StrEnum


class ServiceKind(StrEnum):
    HTTP = "http"
    """Service behind the load balancer: a deployment shifts its traffic."""
    WORKER = "worker"
    """Consumer of messages: a deployment replaces its tasks one by one."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service. Its stack is the class of its CamelCase name in `infra/services/<module>.py`."""

    name: str
    """Name of the distribution, main's image repository, ECS service, container and log group."""
    module: str
    """Python package that `python -m` starts."""
    kind: ServiceKind
    port: int
    """Port in the container, for requests or only for health checks and metrics."""
    local_port: int
    """Port on a developer's machine, with or without a container."""


ORDER_API = Service(name="order-api", module="order_api", kind=ServiceKind.HTTP, port=8080, local_port=8000)
ORDER_PROCESSOR = Service(
    name="order-processor", module="order_processor", kind=ServiceKind.WORKER, port=8081, local_port=8081
)
ORDER_NOTIFIER = Service(
    name="order-notifier", module="order_notifier", kind=ServiceKind.WORKER, port=8082, local_port=8084
)

SERVICES = (ORDER_API, ORDER_PROCESSOR, ORDER_NOTIFIER)

SERVICE_NAMES = tuple(service.name for service in SERVICES)


FEATURE_REPOSITORIES = "features"
"""Namespace of the image repositories of feature environments, so that their branches cannot push main's tags."""


def repository_name(service: str, *, is_feature: bool) -> str:
    """Return the name of a service's image repository, such as `order-api`, or `features/order-api`."""
    return f"{FEATURE_REPOSITORIES}/{service}" if is_feature else service


def shipping_order() -> list[str]:
    """Return the names, workers first: a new worker can read what the old and the new API write."""
    return [service.name for service in sorted(SERVICES, key=lambda each: each.kind is not ServiceKind.WORKER)]


if __name__ == "__main__":
    print(*shipping_order())  # noqa: T201 - output of the command
