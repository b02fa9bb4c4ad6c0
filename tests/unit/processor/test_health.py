"""Health endpoint of the processor: it fails when a poller has stopped."""

import httpx2
import pytest

from order_shared.runtime.metrics import Metrics
from order_shared.runtime.readiness import Readiness
from order_shared.runtime.sockets import listen
from order_shared.runtime.worker_health import health_server


async def answers() -> None:
    pass


async def fails() -> None:
    raise ConnectionError("no route")


async def ask(path: str, *, idle: float = 0.0, dynamodb_up: bool = True, sqs_up: bool = True) -> httpx2.Response:
    readiness = Readiness(
        required={"dynamodb": answers if dynamodb_up else fails}, optional={"sqs": answers if sqs_up else fails}
    )
    with listen("127.0.0.1", 0) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with (
            health_server(
                listener, readiness=readiness, metrics=Metrics(), idle_seconds=lambda: idle, max_idle_seconds=90.0
            ),
            httpx2.AsyncClient() as http,
        ):
            return await http.get(address + path)


@pytest.mark.parametrize(("idle", "status", "said"), [(0.0, 200, "ok"), (90.0, 200, "ok"), (90.1, 503, "stuck")])
async def test_a_poller_that_died_silently_makes_the_process_unhealthy(idle: float, status: int, said: str) -> None:
    response = await ask("/healthz", idle=idle)
    assert (response.status_code, response.json()["status"]) == (status, said)


async def test_readiness_is_not_static_it_asks_the_database() -> None:
    assert (await ask("/readyz")).status_code == 200
    response = await ask("/readyz", dynamodb_up=False)
    assert (response.status_code, response.json()["dynamodb"]) == (503, "unavailable")


async def test_without_sqs_it_is_ready_and_degraded() -> None:
    response = await ask("/readyz", sqs_up=False)
    assert (response.status_code, response.json()["sqs"]) == (200, "degraded")


async def test_an_outage_takes_no_health_away() -> None:
    assert (await ask("/healthz", dynamodb_up=False, sqs_up=False)).status_code == 200
