"""Options of a consumer: polling, retries and draining."""

from dataclasses import dataclass

from order_shared.backoff import full_jitter


@dataclass(frozen=True, kw_only=True)
class ConsumerOptions:
    """Options of a consumer. At most `concurrency` messages are handled at a time. All times are in seconds.

    `wait` is the duration of a long poll; a poll that takes `poll_grace` longer is cancelled. `visibility` is the
    visibility timeout. When the consumer stops, started handlings may continue for up to `drain` seconds.
    """

    concurrency: int = 64
    pollers: int = 1
    wait: int = 20
    visibility: int = 30
    retry_base: float = 1.0
    retry_cap: float = 300.0
    drain: float = 60.0
    poll_grace: float = 10.0

    def retry_in(self, receive_count: int) -> int:
        """Return a random delay, in seconds, between a failed delivery and the next one.

        Its upper bound doubles with each receive, up to `retry_cap`.
        """
        return round(full_jitter(receive_count - 1, base=self.retry_base, cap=self.retry_cap))
