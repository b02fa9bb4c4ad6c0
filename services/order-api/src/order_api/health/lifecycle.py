"""Lifecycle of the process, as the load balancer sees it: starting, serving, stopping."""

from enum import StrEnum

from order_shared.runtime.readiness import Readiness


class Phase(StrEnum):
    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"


class Lifecycle:
    """Phase of one process: SERVING from its first readiness until `stop`.

    A later outage of DynamoDB does not change the phase: replacing every task would not end the outage.
    """

    def __init__(self) -> None:
        self.phase = Phase.STARTING

    @property
    def is_stopping(self) -> bool:
        return self.phase is Phase.STOPPING

    def stop(self) -> None:
        """Enter STOPPING: `/serving` returns 503, and every response closes its connection."""
        self.phase = Phase.STOPPING

    async def current(self, readiness: Readiness) -> Phase:
        """Return the phase. Check `readiness` first if the process has not been ready yet."""
        if self.phase is Phase.STARTING and (await readiness.check()).ready and not self.is_stopping:
            self.phase = Phase.SERVING
        return self.phase
