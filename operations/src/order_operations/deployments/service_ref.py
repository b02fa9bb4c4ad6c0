"""Reference to a service in an environment: the names of its cluster, service, repository and tags."""

from dataclasses import dataclass

from order_shared.naming import ORDER_API, ORDER_NOTIFIER, ORDER_PROCESSOR, SERVICE_NAMES, repository_name
from order_shared.tables import Queue, order_changes, order_queue

SERVICES = SERVICE_NAMES
API, PROCESSOR, NOTIFIER = ORDER_API.name, ORDER_PROCESSOR.name, ORDER_NOTIFIER.name
FEATURE_PREFIX = "feat-"
FEATURE_HOST = "dev"
"""Environment whose cluster the feature environments share."""
PROTECTED = "prod"


@dataclass(frozen=True, kw_only=True)
class ServiceRef:
    environment: str
    kind: str
    """Name of the service, such as `order-api`."""

    @property
    def is_feature(self) -> bool:
        return self.environment.startswith(FEATURE_PREFIX)

    @property
    def is_protected(self) -> bool:
        return self.environment.partition("-")[0] == PROTECTED

    @property
    def cluster(self) -> str:
        return FEATURE_HOST if self.is_feature else self.environment

    @property
    def service(self) -> str:
        return f"{self.environment}-{self.kind}" if self.is_feature else self.kind

    @property
    def repository(self) -> str:
        return repository_name(self.kind, is_feature=self.is_feature)

    @property
    def live_tag(self) -> str:
        """Tag of the image that the next deployment ships."""
        return f"live-{self.environment}"

    @property
    def previous_tag(self) -> str:
        """Tag of the image that was live before the last successful deployment: the target of a rollback."""
        return f"previous-{self.environment}"

    @property
    def oldest_tag(self) -> str:
        """Tag that keeps the image of the previous tag while a deployment moves that one: it may have to go back."""
        return f"{self.previous_tag}.oldest"

    @property
    def place(self) -> str:
        """Arguments that name the service in a command."""
        return f"{self.kind} --env {self.environment}"

    @property
    def table_prefix(self) -> str:
        return f"{self.environment}-"

    @property
    def queue(self) -> Queue:
        """Queue that a worker consumes. The API sends messages to that of the processor."""
        prefix = self.table_prefix
        return order_changes(prefix).queue if self.kind == NOTIFIER else order_queue(prefix)

    @property
    def subject(self) -> str:
        """Subject of the service's entries in the audit trail."""
        return f"deployment#{self.environment}#{self.kind}"

    def __str__(self) -> str:
        return f"{self.kind} in {self.environment}"
