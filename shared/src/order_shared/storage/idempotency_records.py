"""How a claim is stored. Used by every repository whose transactions carry one."""

from datetime import datetime

from aiodynamo.expressions import F
from aiodynamo.operations import Delete, Put

from order_shared.aws.dynamodb import Dynamo, Item
from order_shared.domain.idempotency import Claim, to_seconds

CLAIM_FREE = F("key").does_not_exist()


def put_claim(table: str, claim: Claim, now: datetime) -> Put:
    """Takes the claim if nobody holds it. One that expires may be taken over once it has."""
    item: Item = {"key": claim.key, "subject": claim.subject}
    free = CLAIM_FREE
    if claim.fingerprint is not None:
        item["fingerprint"] = claim.fingerprint
    if claim.expires_at is not None:
        item["expires_at"] = claim.expires_at
        free |= F("expires_at").lt(to_seconds(now))
    return Put(table, item, free)


def delete_claim(table: str, key: str, subject: str) -> Delete:
    """Gives the claim up, if it is still the subject's."""
    return Delete(table, {"key": key}, CLAIM_FREE | F("subject").equals(subject))


async def get_claim(dynamo: Dynamo, table: str, key: str) -> Claim | None:
    """Strongly consistent; an expired claim is returned too."""
    item = await dynamo.get(table, {"key": key})
    return _to_claim(item) if item else None


def _to_claim(item: Item) -> Claim:
    return Claim(
        key=item["key"], subject=item["subject"], fingerprint=item.get("fingerprint"), expires_at=item.get("expires_at")
    )
