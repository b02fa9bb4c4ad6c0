"""Errors of requests about webhook endpoints, in addition to `order_shared.domain.webhook.exceptions`.

PlatformError
├── WebhooksNotAvailable  this environment sends no webhooks
├── UrlNotAllowed         webhooks cannot be sent to this URL
└── VerifyFirst           events are sent to verified endpoints only
"""

from order_shared.domain.errors import PlatformError


class WebhooksNotAvailable(PlatformError):
    def __init__(self) -> None:
        super().__init__("this environment sends no webhooks; read the feed or the stream of events instead")


class UrlNotAllowed(PlatformError):
    """The message says what a URL must have."""


class VerifyFirst(PlatformError):
    def __init__(self, endpoint_id: str, state: str) -> None:
        super().__init__(f"the webhook endpoint {endpoint_id} is {state} and receives no events; verify it first")
