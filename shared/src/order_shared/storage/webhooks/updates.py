"""Update expressions of endpoints."""

from functools import reduce
from operator import and_
from typing import Any

from aiodynamo.expressions import F, UpdateExpression

from order_shared.domain.webhook.models import Endpoint
from order_shared.storage.webhooks.items import shard_of

EXISTS = F("endpoint").exists()
ABSENT = F("endpoint").does_not_exist()


def assigned(attributes: dict[str, Any]) -> UpdateExpression:
    """Return the update that sets attributes, and removes those that are None. There is at least one."""
    parts = [F(name).remove() if value is None else F(name).set(value) for name, value in attributes.items()]
    return reduce(and_, parts)


def due(endpoint: Endpoint, due_at: int) -> dict[str, Any]:
    """Return the attributes of the index."""
    return {"due_shard": shard_of(endpoint), "due_at": due_at}


def end_of_lease() -> UpdateExpression:
    """Return the update that takes the lease from its holder: none of its writes succeeds any more."""
    return F("fence").add(1) & F("lease_until").remove() & F("lease_owner").remove()
