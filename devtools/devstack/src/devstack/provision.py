"""Create the tables, queues and change feeds of `order_shared.tables`. Several processes may do so at once.

`python -m devstack.provision` creates them at AWS_ENDPOINT_URL. On AWS itself Terraform creates them.
"""

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog
from botocore.exceptions import ClientError

from aws_json_client import BotocoreCredentials
from devstack.event_repair import append_missing_events
from order_shared.aws.isolated import isolated_session
from order_shared.runtime.config import Settings, load_settings
from order_shared.runtime.logging import configure_logging
from order_shared.runtime.program import begin
from order_shared.runtime.settings import reject
from order_shared.tables import (
    TABLES,
    ChangeFeed,
    Index,
    Key,
    Queue,
    Table,
    order_changes,
    order_queue,
)

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

log = structlog.get_logger(__name__)

LOCAL_ROLE = "arn:aws:iam::000000000000:role/local"
"""Role of the pipe, which the emulator does not check."""


def provision(session: "boto3.Session", *, endpoint: str | None, prefix: str, renews_pipe: bool = False) -> None:
    """Create missing tables, queues and change feeds. Return once all of them are ready.

    With `renews_pipe`, an existing pipe is replaced. The emulator restores pipes with positions in streams that it
    does not restore, and such a pipe delivers nothing. Changes that no pipe has delivered must be repaired afterwards:
    `devstack.event_repair`.
    """
    dynamodb = session.client("dynamodb", endpoint_url=endpoint)
    for table in TABLES:
        create_table(dynamodb, table, prefix + table.name)
    sqs = session.client("sqs", endpoint_url=endpoint)
    create_queue(sqs, order_queue(prefix))
    feed = order_changes(prefix)
    if renews_pipe:
        _delete_pipe(session, feed, endpoint=endpoint)
    create_change_feed(session, feed, endpoint=endpoint, prefix=prefix)


def create_table(dynamodb: "DynamoDBClient", table: Table, name: str) -> None:
    request: dict[str, Any] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _key_schema(table.hash_key, table.range_key),
        "AttributeDefinitions": [{"AttributeName": key.name, "AttributeType": str(key.type)} for key in _keys(table)],
    }
    if table.indexes:
        request["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index.name,
                "KeySchema": _key_schema(index.hash_key, index.range_key),
                "Projection": _projection(index),
            }
            for index in table.indexes
        ]
    if table.streamed:  # the emulator's pipes ignore the template that removes images from messages
        request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    with suppress(dynamodb.exceptions.ResourceInUseException):  # it exists, or another process is creating it
        dynamodb.create_table(**request)
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    if table.ttl_attribute is not None:
        _enable_ttl(dynamodb, name, table.ttl_attribute)


def create_change_feed(session: "boto3.Session", feed: ChangeFeed, *, endpoint: str | None, prefix: str) -> None:
    """Create the feed's queue, topic and pipe. The pipe delivers the changes that are made from now on."""
    sqs = session.client("sqs", endpoint_url=endpoint)
    create_queue(sqs, feed.queue)
    queue_arn = _queue_arn(sqs, sqs.get_queue_url(QueueName=feed.queue.name)["QueueUrl"])
    sns = session.client("sns", endpoint_url=endpoint)
    topic_arn = sns.create_topic(Name=feed.topic)["TopicArn"]
    raw = {"RawMessageDelivery": "true"}
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn, Attributes=raw, ReturnSubscriptionArn=True)
    dynamodb = session.client("dynamodb", endpoint_url=endpoint)
    stream_arn = dynamodb.describe_table(TableName=prefix + feed.table.name)["Table"].get("LatestStreamArn", "")
    pipes = session.client("pipes", endpoint_url=endpoint)
    with suppress(pipes.exceptions.ConflictException):  # it exists, or another process is creating it
        pipes.create_pipe(
            Name=feed.pipe,
            RoleArn=LOCAL_ROLE,
            Source=stream_arn,
            SourceParameters={"DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON"}},
            Target=topic_arn,
        )


def _delete_pipe(session: "boto3.Session", feed: ChangeFeed, *, endpoint: str | None) -> None:
    pipes = session.client("pipes", endpoint_url=endpoint)
    with suppress(pipes.exceptions.NotFoundException):
        pipes.delete_pipe(Name=feed.pipe)


def create_queue(sqs: "SQSClient", queue: Queue) -> None:
    retention = {"MessageRetentionPeriod": str(queue.retention_seconds)}
    dead_url = _queue_url(sqs, queue.dead_letter_name, retention)
    redrive = {"deadLetterTargetArn": _queue_arn(sqs, dead_url), "maxReceiveCount": queue.max_receive_count}
    _queue_url(sqs, queue.name, {**retention, "RedrivePolicy": json.dumps(redrive)})


def _queue_url(sqs: "SQSClient", name: str, attributes: dict[str, str]) -> str:
    """Return the queue's URL. CreateQueue also returns it for an existing queue with the same attributes."""
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]  # names are a literal type


def _queue_arn(sqs: "SQSClient", url: str) -> str:
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def _enable_ttl(dynamodb: "DynamoDBClient", name: str, attribute: str) -> None:
    def enabled() -> bool:
        described = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        return described.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}

    if enabled():
        return
    try:
        dynamodb.update_time_to_live(
            TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": attribute}
        )
    except ClientError:
        if not enabled():  # unless another process enabled it first
            raise


def _key_schema(hash_key: Key, range_key: Key | None) -> list[dict[str, str]]:
    schema = [{"AttributeName": hash_key.name, "KeyType": "HASH"}]
    if range_key is not None:
        schema.append({"AttributeName": range_key.name, "KeyType": "RANGE"})
    return schema


def _keys(table: Table) -> list[Key]:
    """Return every key of the table and its indexes, once."""
    owners: list[Table | Index] = [table, *table.indexes]
    return list({key: None for owner in owners for key in (owner.hash_key, owner.range_key) if key is not None})


def _projection(index: Index) -> dict[str, Any]:
    if index.include:
        return {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.include)}
    return {"ProjectionType": "KEYS_ONLY"}


def main() -> None:
    begin("devstack")
    settings = load_settings(Settings)
    if settings.aws_endpoint_url is None:
        reject(
            "AWS_ENDPOINT_URL: is not set; it must be the local endpoint, such as http://127.0.0.1:4566. On AWS itself "
            "Terraform creates the tables"
        )
    import boto3  # noqa: PLC0415 - most commands need no AWS, and the import takes long

    session = boto3.Session(region_name=settings.aws_region, botocore_session=isolated_session())
    endpoint, prefix = settings.aws_endpoint_url, settings.table_prefix
    provision(session, endpoint=endpoint, prefix=prefix, renews_pipe=True)
    if appended := asyncio.run(append_missing_events(settings, BotocoreCredentials())):
        configure_logging("INFO")
        log.info("missing events appended", events=appended)


if __name__ == "__main__":
    main()
