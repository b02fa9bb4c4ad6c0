"""Streams of events: read server-sent events, and connect again where the last connection ended."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import TypeVar

import httpx2
from pydantic import ValidationError

from order_client.calls import Call, Caller
from order_client.exceptions import Problem, UnexpectedAnswer
from order_client.models import EventBase
from order_client.retries import RetryPolicy, Time

log = logging.getLogger("order_client")

SILENCE = 45.0
"""Seconds without a byte after which a connection counts as lost. The API sends a heartbeat every 15 seconds."""
E = TypeVar("E", bound=EventBase)


async def follow(caller: Caller, time: Time, policy: RetryPolicy, call: Call, model: type[E]) -> AsyncGenerator[E]:
    """Yield the events of a stream without end. After a lost connection, continue with the next event.

    Raises PositionExpired, and what `Caller.stream` raises if no connection is possible within the deadline.
    """
    position: str | None = None
    attempt = 0
    while True:
        if position is not None:
            call = replace(call, headers={**call.headers, "Last-Event-ID": position})
        try:
            async with caller.stream(call, silence=SILENCE) as response:
                async for fields in messages(response):
                    position = fields.get("id", position)
                    if "data" in fields:
                        attempt = 0
                        yield _event(model, fields, position)
        except httpx2.TransportError as error:
            log.info("the stream of events was lost and is resumed: %s", error)
        await time.sleep(policy.pause(attempt, time.jitter))
        attempt += 1


async def messages(response: httpx2.Response) -> AsyncIterator[dict[str, str]]:
    """Yield the fields of each server-sent message. A message that has not arrived completely is dropped."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line:
            if fields:
                yield fields
            fields = {}
            continue
        name, _, value = line.partition(":")
        if name:
            fields[name] = value.removeprefix(" ")


def _event(model: type[E], fields: dict[str, str], position: str | None) -> E:
    """Return the event of a message. Raises the problem of an error message."""
    try:
        if fields.get("event") == "error":
            raise Problem.of_document(fields["data"])
        return model.model_validate_json(fields["data"]).model_copy(update={"position": position})
    except ValidationError as error:
        raise UnexpectedAnswer(f"a message of the stream is not a valid {model.__name__}: {error}") from error
