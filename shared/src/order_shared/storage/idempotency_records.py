"""Stored form of idempotency records, shared by the repositories that write them in their transactions."""

from datetime import datetime

from aiodynamo.expressions import F
from aiodynamo.operations import Delete, Put

from order_shared.aws.dynamodb import Dynamo, Item
from order_shared.domain.idempotency import IdempotencyRecord, to_seconds

RECORD_ABSENT = F("key").does_not_exist()


def put_record(table: str, key_record: IdempotencyRecord, now: datetime) -> Put:
    """Return the write that stores the record. The write fails if a record with its key exists and has not expired."""
    item: Item = {"key": key_record.key, "subject": key_record.subject}
    free = RECORD_ABSENT
    if key_record.fingerprint is not None:
        item["fingerprint"] = key_record.fingerprint
    if key_record.expires_at is not None:
        item["expires_at"] = key_record.expires_at
        free |= F("expires_at").lt(to_seconds(now))
    return Put(table, item, free)


def delete_record(table: str, key: str, subject: str) -> Delete:
    """Return the write that deletes the record. The write fails if another subject owns the record."""
    return Delete(table, {"key": key}, RECORD_ABSENT | F("subject").equals(subject))


async def get_record(dynamo: Dynamo, table: str, key: str) -> IdempotencyRecord | None:
    """Return the record, even if it has expired. Strongly consistent."""
    item = await dynamo.get(table, {"key": key})
    return _to_record(item) if item else None


def _to_record(item: Item) -> IdempotencyRecord:
    return IdempotencyRecord(
        key=item["key"], subject=item["subject"], fingerprint=item.get("fingerprint"), expires_at=item.get("expires_at")
    )
