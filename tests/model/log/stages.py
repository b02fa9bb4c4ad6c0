"""Staged runs of the log: what seeds do not do."""

from datetime import timedelta

from order_shared.aws.encoding import attributes
from order_shared.storage.event_log.items import page_key
from order_shared.storage.event_log.repair import EventLogRepair
from order_shared.tables import EVENTS
from tests.fakes import TABLES
from tests.model.stages import Stage, Staged, orders
from tests.simulation.clock import VirtualClock
from tests.simulation.customers import TENANT
from tests.simulation.events.recorded import RecordedReader
from tests.simulation.events.watch import OPERATOR
from tests.simulation.loop import Host
from tests.simulation.plans import ReaderKind

HAND = "hand"
LATE = "late reader"
HOUR = timedelta(hours=1)


class EventsLost(Staged):
    """The first page of the log vanishes, and an operator appends its events again. A reader begins before that."""

    async def act(self) -> None:
        await self.world.until(lambda: self._first_page() is not None, within=60.0)
        clock, history = VirtualClock(self.world.loop), self.world.history
        reader = RecordedReader(self.log.notifiers.dynamo(Host(LATE)), TABLES, clock)
        reader.record, reader.host = history.record, LATE
        await reader.latest(TENANT)
        key = {"TableName": TABLES.events, "Key": attributes(page_key(TENANT, 1))}
        self.world.dynamo.write("DeleteItem", key, by=HAND)
        repair = EventLogRepair(self.log.notifiers.dynamo(Host(OPERATOR)), TABLES, clock)
        found = await repair.compare(repair.pages_of_orders(), since=clock() - HOUR, until=clock() + HOUR)
        await repair.rebuild(gap for gap in found.gaps if not gap.is_late)

    def _first_page(self) -> object:
        found = self.world.store.tables.of_table(EVENTS.name)
        return next((item for key, item in found if (key.hash, key.range) == (TENANT, "1")), None)


STAGES = (
    Stage(
        name="events lost",
        takes=frozenset({"append_lost", "start_latest"}),
        orders=orders(3, None),
        make_life=EventsLost,
        plan={"notifiers": 1, "readers": (ReaderKind.TAIL,), "storm_seconds": 60.0},
        causes="operator: |vanished|of the log",
    ),
)
