"""Reader of a log that records what it gets."""

from collections.abc import Callable
from typing import Any

from order_shared.domain.order.positions import Position
from order_shared.storage.event_log.read import DynamoEventLogReader, EventFilter, LogSlice, PositionExpired
from tests.simulation.history import Border


class RecordedReader(DynamoEventLogReader):
    """Reader on one machine. The effects have the host and the filter."""

    record: Callable[..., None]
    host: str

    async def latest(self, tenant: str) -> Position:
        position = await super().latest(tenant)
        self._note("start_latest", after=position)
        return position

    async def earliest(self, tenant: str) -> Position:
        position = await super().earliest(tenant)
        self._note("start_earliest", after=position)
        return position

    async def read(self, tenant: str, position: Position, *, limit: int, matching: EventFilter) -> LogSlice:
        try:
            part = await super().read(tenant, position, limit=limit, matching=matching)
        except PositionExpired as error:
            self._note("refused", before=position, after=error.reason)
            raise
        except Exception:
            self._note("failed", before=position)
            raise
        self._note("read", before=(position, matching), after=part)
        return part

    def _note(self, call: str, *, before: Any = None, after: Any = None) -> None:
        self.record(Border.READERS, call, by=self.host, subject=self.host, before=before, after=after)
