"""CloudWatch alarms that a deployment monitors. Only `SetAlarmState` changes their states."""

import threading
from typing import Any

from fake_ecs.arns import Arns
from fake_ecs.errors import ApiError
from fake_ecs.timing import Clock

Json = dict[str, Any]

NOT_DESCRIBED = ("Tags",)


class Alarms:
    name = "cloudwatch"

    def __init__(self, arns: Arns, clock: Clock) -> None:
        self.lock = threading.RLock()
        self._arns = arns
        self._clock = clock
        self._alarms: dict[str, Json] = {}

    def put_metric_alarm(self, request: Json) -> Json:
        name = request["AlarmName"]
        known = self._alarms.get(name, {"StateValue": "INSUFFICIENT_DATA", "StateUpdatedTimestamp": self._clock()})
        self._alarms[name] = {
            "AlarmArn": self._arns.of("cloudwatch", f"alarm:{name}"),
            **known,
            **{key: each for key, each in request.items() if key not in NOT_DESCRIBED},
        }
        return {}

    def set_alarm_state(self, request: Json) -> Json:
        alarm = self._alarms.get(request["AlarmName"])
        if alarm is None:
            raise ApiError("ResourceNotFound", f"There is no alarm {request['AlarmName']}.", 404)
        alarm.update({key: request[key] for key in ("StateValue", "StateReason")})
        alarm["StateUpdatedTimestamp"] = self._clock()
        return {}

    def describe_alarms(self, request: Json) -> Json:
        names, prefix, state = request.get("AlarmNames"), request.get("AlarmNamePrefix", ""), request.get("StateValue")
        return {
            "MetricAlarms": [
                alarm
                for name, alarm in self._alarms.items()
                if (names is None or name in names)
                and name.startswith(prefix)
                and (state is None or alarm["StateValue"] == state)
            ]
        }
