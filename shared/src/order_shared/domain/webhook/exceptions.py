"""Errors of webhook endpoints.

DomainError
├── EndpointNotFound    the endpoint does not exist, or belongs to another tenant
├── TooManyEndpoints    the tenant has the maximum number of endpoints
├── EndpointChanged     the stored settings have changed since they were read
├── DeliveryNotFound    no delivery of this event is stored
└── TooManyDeliveries   the maximum number of deliveries waits for the endpoint
"""

from order_shared.domain.errors import DomainError
from order_shared.domain.webhook.models import MAX_ENDPOINTS, MAX_WAITING


class EndpointNotFound(DomainError):
    def __init__(self, endpoint_id: str) -> None:
        super().__init__(f"there is no webhook endpoint {endpoint_id}")


class TooManyEndpoints(DomainError):
    def __init__(self) -> None:
        super().__init__(f"a tenant has at most {MAX_ENDPOINTS} webhook endpoints")


class EndpointChanged(DomainError):
    def __init__(self, endpoint_id: str) -> None:
        super().__init__(f"the webhook endpoint {endpoint_id} has changed since it was read")


class DeliveryNotFound(DomainError):
    def __init__(self, endpoint_id: str, sequence: int) -> None:
        super().__init__(f"there is no delivery {sequence} of the webhook endpoint {endpoint_id}")


class TooManyDeliveries(DomainError):
    def __init__(self, endpoint_id: str) -> None:
        super().__init__(f"{MAX_WAITING} deliveries already wait for the webhook endpoint {endpoint_id}")
