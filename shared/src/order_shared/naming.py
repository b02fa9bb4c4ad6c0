"""The table of services: one row for each. Standard library only: infrastructure and operators' commands read it too.

`python -m order_shared.naming` prints the names in the order of shipping.
"""

from dataclasses import dataclass
from enum import StrEnum


class ServiceKind(StrEnum):
    HTTP = "http"
    """Behind the load balancer: a deployment shifts its traffic."""
    WORKER = "worker"
    """Consumes messages: a deployment replaces its tasks one after the other."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service. Its stack is the class of its CamelCase name in `infra/services/<module>.py`."""

    name: str
    """Name of its distribution, image repository, ECS service, container and log group."""
    module: str
    """Python package, which `python -m` starts."""
    kind: ServiceKind
    port: int
    """Port of the container: of requests, or of health checks and metrics alone."""
    local_port: int
    """Port on a developer's machine, whether the service runs there in a container or without."""


ORDER_API = Service(name="order-api", module="order_api", kind=ServiceKind.HTTP, port=8080, local_port=8000)
ORDER_PROCESSOR = Service(
    name="order-processor", module="order_processor", kind=ServiceKind.WORKER, port=8081, local_port=8081
)

SERVICES = (ORDER_API, ORDER_PROCESSOR)

SERVICE_NAMES = tuple(service.name for service in SERVICES)


def shipping_order() -> list[str]:
    """Return the names with workers first: they read what the API of either version writes."""
    return [service.name for service in sorted(SERVICES, key=lambda each: each.kind is not ServiceKind.WORKER)]


if __name__ == "__main__":
    print(*shipping_order())  # noqa: T201 - its purpose
