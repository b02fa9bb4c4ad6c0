"""`orderctl listen`: forward the events of a tenant to a receiver on this machine, signed as webhooks are."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import httpx2
import typer

from aws_json_client.proxies import proxy_for
from order_client import EventType, Problem
from order_client.following import SILENCE, messages
from order_shared.domain.clock import utc_now
from order_shared.domain.webhook.signing import new_secret, signed_headers
from orderctl.exceptions import Failed, UsageError
from orderctl.profile import DEFAULT_STATE, StackProfile, StateOption, api_of_environment, reported_failures
from orderctl.terminal import console, errors, printable

STREAM = "/v1/tenant/events/stream"
SCOPE = "orders:admin"
RECEIVER_SECONDS = 20.0
PAUSE_SECONDS = 1.0


def listen(
    *,
    forward_to: Annotated[str, typer.Option(metavar="URL", help="Receiver, such as http://127.0.0.1:9000/webhooks.")],
    type: Annotated[  # noqa: A002 - the name of the option
        list[EventType] | None, typer.Option(help="Only events of this type; repeat it for more than one.")
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(envvar="WEBHOOK_SECRET", help="Secret to sign with, whsec_…; by default a new one, printed."),
    ] = None,
    local: Annotated[
        bool,
        typer.Option(
            "--local",
            help="Use the stack that `orderctl local up` runs. Without it: the API at ORDER_API_URL, with the token in "
            "ORDER_TOKEN, which needs the scope orders:admin.",
        ),
    ] = False,
    tenant: Annotated[str, typer.Option(help="With --local: the tenant.")] = "acme",
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Forward the events of your tenant to a receiver on this machine, from now on, until Ctrl-C.

    Each request has the headers and the body that a webhook endpoint receives, so
    that a handler can be tried without a public address. An event that the receiver
    does not accept is printed, and not repeated.

    \b
    orderctl listen --local --forward-to http://127.0.0.1:9000/webhooks
    """
    with reported_failures():
        if not forward_to.startswith(("http://", "https://")):
            raise UsageError(f"--forward-to must begin with http:// or https://, not {forward_to}")
        used = secret or new_secret()
        signed_headers([used], "msg_0", utc_now(), b"")  # fails for a text that is not a secret
        if local:
            profile = StackProfile.at(state)
            api, token = profile.api, profile.token(tenant, "staff", SCOPE)
        else:
            api, token = api_of_environment()
        if secret is None:
            errors.print(f"WEBHOOK_SECRET={used}")
        asyncio.run(_forward(api, token, forward_to, used, type or ()))


async def _forward(api: str, token: str, url: str, secret: str, types: Collection[EventType]) -> None:
    async with _client(url) as receiver, _client(api) as http:
        stream = _Stream(http=http, url=f"{api.rstrip('/')}{STREAM}", token=token, types=[str(each) for each in types])
        while True:
            try:
                async for kind, body in stream.events():
                    console.print(await _send(receiver, url, secret, kind, body))
            except httpx2.TransportError as error:
                errors.print(f"the stream of events was lost, and is opened again: {error}", style="dim")
            await asyncio.sleep(PAUSE_SECONDS)


@dataclass(kw_only=True)
class _Stream:
    """Stream of a tenant's events. `position` is that of the next event."""

    http: httpx2.AsyncClient
    url: str
    token: str
    types: list[str]
    position: str = "latest"

    async def events(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield type and body of each event of one connection. Raises Failed if the API refuses."""
        params = {"after": self.position, "type": self.types}
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "text/event-stream"}
        async with self.http.stream("GET", self.url, params=params, headers=headers, timeout=SILENCE) as response:
            if response.is_error:
                await response.aread()
                problem = Problem.of(response)
                if problem.retryable:
                    return
                raise Failed(str(problem))
            errors.print("listening: events are forwarded as they happen")
            async for fields in messages(response):
                self.position = fields.get("id", self.position)
                if fields.get("event") == "error":
                    raise Failed(f"the stream of events ended: {printable(fields.get('data', '')[:500])}")
                if "data" in fields:
                    yield fields.get("event", ""), fields["data"].encode()


async def _send(receiver: httpx2.AsyncClient, url: str, secret: str, kind: str, body: bytes) -> str:
    """Send one event, and return a line about it."""
    event_id = _id_of(body)
    try:
        response = await receiver.post(url, content=body, headers=signed_headers([secret], event_id, utc_now(), body))
    except httpx2.HTTPError as error:
        return f"{kind}  {event_id}  FAIL  {str(error) or type(error).__name__}"
    outcome = "OK  " if response.is_success else "FAIL"
    return f"{kind}  {event_id}  {outcome}  HTTP {response.status_code}  {printable(response.text[:200])}".rstrip()


def _id_of(body: bytes) -> str:
    return str(json.loads(body)["id"])


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.AsyncHTTPTransport(proxy=proxy_for(url))
    async with httpx2.AsyncClient(transport=transport, timeout=RECEIVER_SECONDS, follow_redirects=False) as client:
        yield client
