"""Lifecycle of the process, as the load balancer sees it: starting, serving, stopping."""

from enum import StrEnum

from order_shared.runtime.readiness import Readiness


class Phase(StrEnum):
    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"


class Lifecycle:
    """Phase of one process. It serves from its first readiness until it is told to stop.

    A later outage of DynamoDB does not end the phase: replacing every task would not bring DynamoDB back.
    """

    def __init__(self) -> None:
        self.phase = Phase.STARTING

    @property
    def is_stopping(self) -> bool:
        return self.phase is Phase.STOPPING

    def stop(self) -> None:
        """Leave the target group: `/serving` returns 503, and every response closes its connection."""
        self.phase = Phase.STOPPING

    async def current(self, readiness: Readiness) -> Phase:
        """Return the phase, after a look at `readiness` as long as the process has never been ready."""
        if self.phase is Phase.STARTING and (await readiness.check()).ready and not self.is_stopping:
            self.phase = Phase.SERVING
        return self.phase
