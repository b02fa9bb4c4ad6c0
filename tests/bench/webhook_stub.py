"""The canned AWS with real tables, and with webhook endpoints.

Bench.Endpoints  {"tenant", "urls", "sealed"}              store active endpoints at the end of the tenant's log
Bench.Trickle    {"queue", "count", "per_second"}          let messages be received at a steady rate
Bench.Readable   {}                                        time at which each event became readable, by id
"""

import asyncio
import json
import time

import uvloop
from aiodynamo.utils import dy2py

from order_shared.aws.encoding import attributes
from order_shared.domain.clock import utc_now
from order_shared.domain.order.positions import Position
from order_shared.domain.webhook.health import Health
from order_shared.domain.webhook.models import Endpoint, SealedSecret, new_endpoint_id
from order_shared.domain.webhook.secret_box import Sealed
from order_shared.storage.event_log.items import to_page
from order_shared.storage.event_log.read import BEFORE_LOG
from order_shared.storage.webhooks.items import IDLE, directory_key, endpoint_item
from order_shared.tables import EVENTS, WEBHOOKS
from tests.bench.event_stub import PREFIX, TableStub
from tests.bench.stub import NOTHING, Json, Reply, serve


class WebhookStub(TableStub):
    def __init__(self) -> None:
        super().__init__()
        self._readable: dict[str, float] = {}
        append = self.answers["TransactWriteItems"]

        def note(request: Json, reply: Reply) -> None:
            append(request, reply)
            self._note(request)

        self.answers |= {
            "TransactWriteItems": note,
            "Endpoints": self._endpoints,
            "Trickle": self._trickle,
            "Readable": self._readable_times,
        }

    def _note(self, request: Json) -> None:
        now = time.time()
        for entry in request["TransactItems"]:
            put = entry.get("Put", {})
            if put.get("TableName") == PREFIX + EVENTS.name and "entries" in put["Item"]:
                events = [event for each in to_page(dy2py(put["Item"], int)).entries for event in each]
                self._readable.update((event.id, now) for event in events)

    def _endpoints(self, request: Json, reply: Reply) -> None:
        tenant, now, ids = request["tenant"], utc_now(), []
        for url in request["urls"]:
            endpoint = Endpoint(
                tenant=tenant,
                endpoint_id=new_endpoint_id(),
                url=url,
                types=frozenset(),
                description="",
                secrets=(SealedSecret(sealed=Sealed(request["sealed"])),),
                position=Position(epoch=BEFORE_LOG, sequence=1),
                created_at=now,
                updated_at=now,
                health=Health().activated(),
            )
            ids.append(endpoint.endpoint_id)
            self._tables.put(PREFIX + WEBHOOKS.name, attributes(endpoint_item(endpoint, IDLE)))
        directory = {**directory_key(tenant), "ids": ids, "revision": 1}
        self._tables.put(PREFIX + WEBHOOKS.name, attributes(directory))
        reply(NOTHING)

    def _trickle(self, request: Json, reply: Reply) -> None:
        queue, pause = self.queue(request), 1 / request["per_second"]
        loop = asyncio.get_running_loop()
        started, count = loop.time(), request["count"]

        def release(number: int) -> None:
            queue.release(1, lambda _: None)
            if number + 1 == count:
                reply(NOTHING)
            else:
                loop.call_at(started + (number + 1) * pause, release, number + 1)

        release(0)

    def _readable_times(self, _request: Json, reply: Reply) -> None:
        reply(json.dumps(self._readable).encode())
        self._readable = {}


if __name__ == "__main__":
    uvloop.run(serve(WebhookStub()))
