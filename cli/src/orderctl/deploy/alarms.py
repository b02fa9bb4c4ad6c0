"""The alarms that roll a deployment back."""

from collections.abc import Sequence
from typing import Any


class Alarms:
    """`cloudwatch` is a boto3 client."""

    def __init__(self, cloudwatch: Any) -> None:
        self._cloudwatch = cloudwatch

    def states(self, names: Sequence[str]) -> dict[str, str]:
        """`OK`, `ALARM` or `INSUFFICIENT_DATA` of each that exists."""
        if not names:
            return {}
        answer = self._cloudwatch.describe_alarms(AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        found = [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}
