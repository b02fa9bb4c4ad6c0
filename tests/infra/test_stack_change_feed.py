"""The change feed: every change of an order reaches the notifier's queue, and nothing of the order but its key does."""

import json
import re
from typing import Any

import pytest

from order_notifier.changes import parse_change
from order_shared.domain.order.models import Customer
from order_shared.tables import TABLES, order_changes
from tests.infra.policies import Statement, statements_of
from tests.infra.synthesis import FAILED_OVER, TWO_REGIONS, Resource, Stack, every, of_kind, stack_of

PLACEHOLDER = re.compile(r"<\$\.([\w.]+)>")
DOCUMENTED_TEMPLATE = "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-input-transformation.html"

RECORD: dict[str, Any] = {
    "eventID": "7de3041dd709b024af6f29e4fa13d34c",
    "eventName": "MODIFY",
    "dynamodb": {
        "Keys": {"customer_key": {"S": "acme#ada"}, "created_at": {"S": "2026-11-21T08:00:00.000000Z"}},
        "NewImage": {"payment_token": {"S": "tok_secret"}},
        "OldImage": {"payment_token": {"S": "tok_secret"}},
    },
}


def pipes() -> list[Resource]:
    return every("aws_pipes_pipe")


def has_pipe(stack: Stack) -> bool:
    return stack.region == stack.environment.home


def rendered(template: str, record: dict[str, Any]) -> str:
    """Return what EventBridge makes of a template, as its documentation says: texts are quoted, objects are not."""

    def value(match: re.Match[str]) -> str:
        found: Any = record
        for name in match[1].split("."):
            found = found[name]
        quoted = template[match.start() - 1] == template[match.end()] == '"'
        assert quoted is isinstance(found, str), f"{match[0]}: {DOCUMENTED_TEMPLATE}"
        return found if quoted else json.dumps(found)

    return PLACEHOLDER.sub(value, template)


def test_a_message_has_the_key_of_the_order_and_nothing_else_of_it() -> None:
    for pipe in pipes():
        body = rendered(pipe["target_parameters"]["input_template"], RECORD)
        assert json.loads(body) == {"eventName": "MODIFY", "dynamodb": {"Keys": RECORD["dynamodb"]["Keys"]}}, str(pipe)
        assert parse_change(body).customer == Customer(tenant="acme", id="ada"), str(pipe)


def test_streamed_tables_have_both_images_in_every_environment() -> None:
    """Replication needs both: a second region can then be added without another stream."""
    streamed = {f"{table.name}_table" for table in TABLES if table.streamed}
    for table in every("aws_dynamodb_table"):
        expected = (True, "NEW_AND_OLD_IMAGES") if table.name in streamed or table["replica"] else (None, None)
        assert (table.get("stream_enabled"), table.get("stream_view_type")) == expected, str(table)


def test_one_pipe_reads_the_stream_where_orders_are_written() -> None:
    for stack in of_kind("supporting"):
        assert len(stack.resources("aws_pipes_pipe")) == has_pipe(stack), str(stack)
        assert len([each for each in stack.resources("aws_iam_role") if "pipe" in each.name]) == has_pipe(stack)


@pytest.mark.parametrize(
    ("variant", "region", "source"),
    [
        ("prod", "eu-central-1", "${aws_dynamodb_table.orders_table.stream_arn}"),
        (TWO_REGIONS, "eu-central-1", "${aws_dynamodb_table.orders_table.stream_arn}"),
        (FAILED_OVER, "eu-west-1", "${data.aws_dynamodb_table.orders_replica.stream_arn}"),
    ],
)
def test_the_stream_is_that_of_the_table_in_the_same_region(variant: str, region: str, source: str) -> None:
    stack = stack_of(variant, "supporting", region)
    assert stack.one("aws_pipes_pipe")["source"] == source
    if "data." in source:
        assert stack.data("aws_dynamodb_table")["orders_replica"]["name"] == "prod-orders"


def test_no_change_is_passed_over() -> None:
    for pipe in pipes():
        parameters = pipe["source_parameters"]
        assert parameters["dynamodb_stream_parameters"] == {
            "starting_position": "TRIM_HORIZON",
            "batch_size": 10,
            "maximum_record_age_in_seconds": -1,
            "maximum_retry_attempts": -1,
        }, str(pipe)
        (pattern,) = parameters["filter_criteria"]["filter"]
        assert json.loads(pattern["pattern"]) == {"eventName": ["INSERT", "MODIFY"]}, str(pipe)
        assert "desired_state" not in pipe.body, str(pipe)  # it runs


def test_names_are_the_shared_ones() -> None:
    for stack in of_kind("supporting"):
        feed = order_changes(stack.environment.table_prefix)
        topic = stack.the("aws_sns_topic.changes_topic")
        assert (topic["name"], bool(topic.get("fifo_topic"))) == (feed.topic, False), str(stack)
        for pipe in stack.resources("aws_pipes_pipe"):
            assert (pipe["name"], pipe["target"]) == (feed.pipe, f"${{{topic.address}.arn}}"), str(stack)


def test_the_queue_gets_messages_as_the_pipe_has_written_them() -> None:
    for stack in of_kind("supporting"):
        subscription = stack.the("aws_sns_topic_subscription.changes_subscription")
        assert subscription["topic_arn"] == "${aws_sns_topic.changes_topic.arn}", str(stack)
        assert (subscription["protocol"], subscription["raw_message_delivery"]) == ("sqs", True), str(stack)
        assert subscription["endpoint"] == "${aws_sqs_queue.changes_queue.arn}", str(stack)
        assert "filter_policy" not in subscription.body, str(stack)


def test_only_the_topic_may_send_to_the_queue_by_its_policy() -> None:
    for policy in every("aws_sqs_queue_policy"):
        allowed = [statement for statement in statements_of(policy) if statement.allows]
        if policy.name != "changes_queue_policy":
            assert not allowed, str(policy)
            continue
        (statement,) = allowed
        assert statement.principals == {"Service": "sns.amazonaws.com"}, str(policy)
        assert statement.actions == ("sqs:SendMessage",), str(policy)
        assert statement.resources == ("${aws_sqs_queue.changes_queue.arn}",), str(policy)
        assert statement.conditions == {"ArnEquals": {"aws:SourceArn": "${aws_sns_topic.changes_topic.arn}"}}


def test_nobody_publishes_without_tls() -> None:
    for policy in every("aws_sns_topic_policy"):
        if policy.name == "changes_topic_policy":
            (statement,) = statements_of(policy)
            assert not statement.allows, str(policy)
            assert statement.conditions == {"Bool": {"aws:SecureTransport": "false"}}, str(policy)


def test_the_pipe_may_read_its_stream_and_publish_to_its_topic_only() -> None:
    for pipe in pipes():
        policy = pipe.stack.the("aws_iam_role_policy.changes_pipe_policy")
        key = key_of(pipe.stack)
        found = {statement.sid: seen(statement) for statement in statements_of(policy)}
        region = pipe.stack.region
        read = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}
        assert found == {
            "ReadStream": (read, [pipe["source"]], None),
            "FindStream": ({"dynamodb:ListStreams"}, ["*"], None),
            "DecryptStream": ({"kms:Decrypt"}, [key], f"dynamodb.{region}.amazonaws.com"),
            "Publish": ({"sns:Publish"}, [pipe["target"]], None),
            "EncryptMessages": ({"kms:Decrypt", "kms:GenerateDataKey"}, [key], f"sns.{region}.amazonaws.com"),
        }, str(pipe)


def key_of(stack: Stack) -> str:
    return str(stack.the("aws_sns_topic.changes_topic")["kms_master_key_id"])


def seen(statement: Statement) -> tuple[set[str], list[str], str | None]:
    """Return the actions, the resources, and the service through which a key may be used."""
    via = statement.conditions.get("StringEquals", {}).get("kms:ViaService")
    return set(statement.actions), list(statement.resources), via


def test_the_topic_may_use_the_key_of_the_queue() -> None:
    for key in every("aws_kms_key"):
        if key.name == "data_key":
            (statement,) = [each for each in statements_of(key) if each.sid == "TopicsToQueues"]
            assert statement.principals == {"Service": "sns.amazonaws.com"}, str(key)
            assert set(statement.actions) == {"kms:Decrypt", "kms:GenerateDataKey"}, str(key)
