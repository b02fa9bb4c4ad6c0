"""Stored form of claims, for every repository whose transactions carry one."""

from datetime import datetime

from aiodynamo.expressions import F
from aiodynamo.operations import Delete, Put

from order_shared.aws.dynamodb import Dynamo, Item
from order_shared.domain.idempotency import Claim, to_seconds

CLAIM_FREE = F("key").does_not_exist()


def put_claim(table: str, claim: Claim, now: datetime) -> Put:
    """Return the write that takes the claim if nobody holds it. An expired claim can be taken over."""
    item: Item = {"key": claim.key, "subject": claim.subject}
    free = CLAIM_FREE
    if claim.fingerprint is not None:
        item["fingerprint"] = claim.fingerprint
    if claim.expires_at is not None:
        item["expires_at"] = claim.expires_at
        free |= F("expires_at").lt(to_seconds(now))
    return Put(table, item, free)


def delete_claim(table: str, key: str, subject: str) -> Delete:
    """Return the write that deletes the claim if it is still the subject's."""
    return Delete(table, {"key": key}, CLAIM_FREE | F("subject").equals(subject))


async def get_claim(dynamo: Dynamo, table: str, key: str) -> Claim | None:
    """Return the claim, also an expired one. Strongly consistent."""
    item = await dynamo.get(table, {"key": key})
    return _to_claim(item) if item else None


def _to_claim(item: Item) -> Claim:
    return Claim(
        key=item["key"], subject=item["subject"], fingerprint=item.get("fingerprint"), expires_at=item.get("expires_at")
    )
