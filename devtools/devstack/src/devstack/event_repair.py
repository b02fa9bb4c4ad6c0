"""Repair of the event logs after a stop of the embedded AWS, whose streams end with it."""

from aws_json_client import CredentialsProvider, RetryPolicy
from order_shared.aws.dynamodb import open_dynamo
from order_shared.domain.clock import utc_now
from order_shared.runtime.config import Settings
from order_shared.storage.event_log.items import RETENTION
from order_shared.storage.event_log.repair import EventLogRepair

RETRIES = RetryPolicy(deadline=30, max_attempts=10)


async def append_missing_events(settings: Settings, credentials: CredentialsProvider) -> int:
    """Append the event of every change that has none, and return how many. Raises StorageUnavailable."""
    async with open_dynamo(
        credentials, region=settings.aws_region, endpoint=settings.dynamodb_endpoint, retries=RETRIES
    ) as dynamo:
        repair = EventLogRepair(dynamo, settings.tables)
        now = utc_now()
        comparison = await repair.compare(repair.pages_of_orders(), since=now - RETENTION, until=now)
        return await repair.rebuild(comparison.gaps)
