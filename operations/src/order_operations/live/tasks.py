"""Tasks of the services, whose metrics a snapshot contains."""

from dataclasses import dataclass

from order_shared.naming import ORDER_API, ORDER_PROCESSOR

API, PROCESSOR = ORDER_API.name, ORDER_PROCESSOR.name


@dataclass(frozen=True, kw_only=True)
class Task:
    """A running task of a service. `address` is its base URL."""

    service: str
    address: str

    @property
    def metrics_url(self) -> str:
        return f"{self.address.rstrip('/')}/metrics"
