"""Crash points are the requests that a scene makes whenever it is played, not those that time decides."""

import pytest

from tests.chaos.crashes import Step, has_effect, steps_of_all
from tests.chaos.wire import Call, Json, json_answer
from tests.chaos.world import VISIBILITY_SECONDS

RESERVE = Step("processor", "TransactWriteItems", 0, 200)
CONFIRM = Step("processor", "POST /v1/payment_intents/{id}/confirm", 0, 200)
SECOND_WORKER = Step("processor", "TransactWriteItems", 1, 400)


def sqs_call(operation: str, content: Json) -> Call:
    return Call.read("processor", "POST", "/", {"X-Amz-Target": f"AmazonSQS.{operation}"}, json_answer(content).body)


def visibility_change(*seconds: int) -> Call:
    entries = [{"Id": str(index), "VisibilityTimeout": value} for index, value in enumerate(seconds)]
    return sqs_call("ChangeMessageVisibilityBatch", {"Entries": entries})


def test_a_request_that_only_one_recording_has_is_not_the_scenes() -> None:
    assert steps_of_all([[RESERVE, SECOND_WORKER, CONFIRM], [RESERVE, CONFIRM]]) == [RESERVE, CONFIRM]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (visibility_change(VISIBILITY_SECONDS), False),
        (visibility_change(VISIBILITY_SECONDS, 2), True),
        (visibility_change(0), True),
        (sqs_call("GetQueueAttributes", {}), False),
        (sqs_call("DeleteMessageBatch", {"Entries": []}), True),
    ],
)
def test_a_heartbeat_and_a_count_have_no_effect(call: Call, *, expected: bool) -> None:
    assert has_effect(call, json_answer({})) is expected
