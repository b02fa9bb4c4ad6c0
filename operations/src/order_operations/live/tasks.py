"""Which tasks are asked for their numbers."""

from dataclasses import dataclass

SERVICES = API, PROCESSOR = "order-api", "order-processor"


@dataclass(frozen=True)
class Task:
    """A running copy of a service; `address` is its base URL."""

    service: str
    address: str

    @property
    def metrics_url(self) -> str:
        return f"{self.address.rstrip('/')}/metrics"
