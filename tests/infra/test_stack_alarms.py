"""Alarms, metrics out of log lines, and the dashboard: each about something that there is."""

import ast
import json
import re
from collections.abc import Iterator
from math import ceil
from typing import Any

import pytest

from infra.alarms import LATE_MINUTES
from order_api.schemas import V1
from order_shared.naming import SERVICES
from tests.infra.synthesis import ROOT, Resource, Stack, every, none, of_kind

FUNCTIONS = {"FILL", "IF"}

SUPPORTING = {
    "queue_age_alarm": (60, 2, 6, "notBreaching"),
    "in_flight_alarm": (60, 1, 5, "notBreaching"),
    "dead_letters_alarm": (60, 1, 5, "notBreaching"),
    "failures_alarm": (60, 2, 6, "notBreaching"),
    "failed_handlings_alarm": (180, 1, 3, "notBreaching"),
    "payments_refused_alarm": (180, 1, 3, "notBreaching"),
    "parked_alarm": (120, 1, 3, "notBreaching"),
    "oldest_open_alarm": (900, 1, 2, "notBreaching"),
    "throttles_orders_alarm": (180, 1, 3, "notBreaching"),
    "throttles_inventory_alarm": (180, 1, 3, "notBreaching"),
    "throttles_idempotency_alarm": (180, 1, 3, "notBreaching"),
    "throttles_events_alarm": (180, 1, 3, "notBreaching"),
    "throttles_webhooks_alarm": (180, 1, 3, "notBreaching"),
    "notifier_queue_age_alarm": (60, 2, 6, "notBreaching"),
    "notifier_dead_letters_alarm": (60, 1, 5, "notBreaching"),
    "notifier_failures_alarm": (180, 1, 3, "notBreaching"),
    "no_notifier_alarm": (120, 3, 3, "missing"),
    "change_feed_alarm": (900, 2, 2, "notBreaching"),
    "no_processor_alarm": (120, 3, 3, "missing"),
    "no_orders_alarm": (300, 6, 6, "missing"),
}
API = {
    "api_errors_alarm": (60, 2, 6, "notBreaching"),
    "api_latency_alarm": (60, 3, 7, "notBreaching"),
    "no_api_alarm": (60, 6, 6, "missing"),
}
"""Seconds of a period, how many of how many periods breach, and how an empty one counts where orders are written."""

SPARSE = {
    "ExecutionFailed",
    "HTTPCode_Target_5XX_Count",
    "Invocations",
    "ReadThrottleEvents",
    "WriteThrottleEvents",
}
"""Metrics that are reported only when something happens, so that none is zero."""
COLOURED = {"HealthyHostCount", "RequestCount"}
"""Metrics of one fleet: of two, one is idle and reports nothing."""

QUIET = "no_orders_alarm"
FEED = "change_feed_alarm"

NAMESPACES = {"AWS/SQS", "AWS/DynamoDB", "AWS/ApplicationELB", "AWS/ECS", "AWS/EventBridge/Pipes"}


def alarms() -> list[Resource]:
    return every("aws_cloudwatch_metric_alarm")


def metrics(alarm: Resource) -> dict[str, dict[str, Any]]:
    return {query["id"]: query["metric"] for query in alarm["metric_query"] if "metric" in query}


def expression(alarm: Resource) -> str:
    (value,) = [query for query in alarm["metric_query"] if "expression" in query]
    assert value["return_data"] is True
    return str(value["expression"])


def late_periods(alarm: Resource) -> int:
    """The newest periods of an alarm whose metrics may still be under way."""
    (period,) = {int(metric["period"]) for metric in metrics(alarm).values()}
    return ceil(LATE_MINUTES * 60 / period)


def writes(stack: Stack) -> bool:
    return stack.region == stack.environment.home


class TestAlarms:
    def test_every_stack_has_its_alarms(self) -> None:
        for kind, expected in (
            ("supporting", SUPPORTING),
            ("order-api", API),
            ("order-processor", {}),
            ("order-notifier", {}),
        ):
            for stack in of_kind(kind):
                found = {alarm.name for alarm in stack.resources("aws_cloudwatch_metric_alarm")}
                assert found - {QUIET, FEED} == expected.keys() - {QUIET, FEED}, str(stack)

    def test_a_pipe_is_watched_where_there_is_one(self) -> None:
        for stack in of_kind("supporting"):
            found = {alarm.name for alarm in stack.resources("aws_cloudwatch_metric_alarm")}
            assert (FEED in found) is bool(stack.resources("aws_pipes_pipe")) is writes(stack), str(stack)

    def test_silence_is_watched_where_orders_never_stop(self) -> None:
        for stack in of_kind("supporting", where=writes):
            found = {alarm.name for alarm in stack.resources("aws_cloudwatch_metric_alarm")}
            assert (QUIET in found) is (stack.environment.quiet_minutes is not None), str(stack)

    @pytest.mark.parametrize("name", [*SUPPORTING, *API])
    def test_periods_and_what_silence_means(self, name: str) -> None:
        period, datapoints, periods, missing = {**SUPPORTING, **API}[name]
        found = [alarm for alarm in alarms() if alarm.name == name and writes(alarm.stack)]
        assert found
        for alarm in found:
            assert {metric["period"] for metric in metrics(alarm).values()} == {period}, str(alarm)
            assert (alarm["datapoints_to_alarm"], alarm["evaluation_periods"]) == (datapoints, periods), str(alarm)
            assert alarm["treat_missing_data"] == missing, str(alarm)

    def test_metrics_that_come_late_do_not_hide_a_fault(self) -> None:
        """Of the periods that are looked at, as many as must breach are complete, whatever is still under way."""
        none(
            f"{alarm}: {alarm['datapoints_to_alarm']} of {alarm['evaluation_periods']}"
            for alarm in alarms()
            if alarm["comparison_operator"] == "GreaterThanThreshold"
            and alarm["evaluation_periods"] - late_periods(alarm) < alarm["datapoints_to_alarm"]
        )

    def test_metrics_that_come_late_are_no_silence(self) -> None:
        """Every period must be silent, and at least one of them is complete."""
        none(
            f"{alarm}: {alarm['datapoints_to_alarm']} of {alarm['evaluation_periods']}"
            for alarm in alarms()
            if alarm["comparison_operator"] == "LessThanThreshold"
            and not late_periods(alarm) < alarm["evaluation_periods"] == alarm["datapoints_to_alarm"]
        )

    def test_only_sparse_metrics_are_filled(self) -> None:
        """A filled metric that must exist says 0 whenever it is late: it hides a fault, or is taken for one."""
        for alarm in alarms():
            two_fleets = len(alarm.stack.resources("aws_lb_target_group")) > 1
            allowed = SPARSE | (COLOURED if two_fleets else set())
            filled = set(re.findall(r"FILL\((\w+),", expression(alarm)))
            names = {metric["metric_name"] for key, metric in metrics(alarm).items() if key in filled}
            assert names <= allowed, f"{alarm}: {names - allowed}"

    def test_each_table_that_orders_use_has_one_throttle_alarm(self) -> None:
        """One for all would refuse the next index: an alarm reads ten metrics at most."""
        for stack in of_kind("supporting"):
            watched = [
                {metric["dimensions"]["TableName"] for metric in metrics(alarm).values()}
                for alarm in stack.resources("aws_cloudwatch_metric_alarm")
                if alarm.name.startswith("throttles_")
            ]
            assert sorted(map(sorted, watched)) == [
                [stack.environment.table_prefix + table]
                for table in ("events", "idempotency", "inventory", "orders", "webhooks")
            ], str(stack)

    def test_operators_find_every_alarm_in_the_runbook(self) -> None:
        text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
        section = text.partition("## An alarm is on")[2].partition("\n## ")[0]
        lines = set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE))
        for alarm in alarms():
            name = alarm["alarm_name"].removeprefix(f"{alarm.stack.owner}-")
            assert name in lines or (name.partition("-")[0] in lines and f"`{name}`" in section), name

    def test_silence_is_below_and_all_else_above(self) -> None:
        silence = {"no_api_alarm", "no_processor_alarm", "no_orders_alarm", "no_notifier_alarm", FEED}
        for alarm in alarms():
            expected = "LessThanThreshold" if alarm.name in silence else "GreaterThanThreshold"
            assert alarm["comparison_operator"] == expected, str(alarm)
            assert alarm["threshold"] == 1 or alarm.name not in silence, str(alarm)

    def test_expressions_name_what_there_is(self) -> None:
        for alarm in alarms():
            names = set(re.findall(r"[A-Za-z_]\w*", expression(alarm))) - FUNCTIONS
            assert names == metrics(alarm).keys(), f"{alarm}: {expression(alarm)}"

    def test_ids_are_as_cloudwatch_wants_them(self) -> None:
        none(f"{alarm}: {name}" for alarm in alarms() for name in metrics(alarm) if not re.fullmatch(r"[a-z]\w*", name))

    def test_silence_notifies_too(self) -> None:
        """Without data an alarm on silence is INSUFFICIENT_DATA; the others are OK then."""
        for alarm in alarms():
            silent = alarm["treat_missing_data"] == "missing"
            assert alarm.get("insufficient_data_actions") == (alarm["alarm_actions"] if silent else None), str(alarm)

    def test_somebody_is_told_of_the_beginning_and_of_the_end(self) -> None:
        topic = re.compile(
            r"\$\{(aws_sns_topic\.alarm_topic\.arn|data\.terraform_remote_state\.\w+\.outputs\.alarm_topic_arn)\}"
        )
        for alarm in alarms():
            for actions in (alarm["alarm_actions"], alarm["ok_actions"]):
                assert [bool(topic.fullmatch(action)) for action in actions] == [True], str(alarm)

    def test_alarms_have_one_name_each_and_say_where_to_read_on(self) -> None:
        for alarm in alarms():
            assert alarm["alarm_name"].startswith(f"{alarm.stack.owner}-"), str(alarm)
            assert "docs/operations.md" in alarm["alarm_description"], str(alarm)
        places = [(alarm.stack.variant, alarm.stack.region, alarm["alarm_name"]) for alarm in alarms()]
        assert len(places) == len(set(places))

    def test_the_topic_has_its_owner(self) -> None:
        for stack in of_kind("supporting", where=lambda stack: not stack.environment.is_feature):
            (subscription,) = [
                each
                for each in stack.resources("aws_sns_topic_subscription")
                if each["topic_arn"] == "${aws_sns_topic.alarm_topic.arn}"
            ]
            assert subscription["protocol"] == "email", str(subscription)

    def test_both_fleets_count(self) -> None:
        for stack in of_kind("order-api"):
            text = json.dumps(stack.the("aws_cloudwatch_metric_alarm.api_errors_alarm").body)
            for group in stack.resources("aws_lb_target_group"):
                assert text.count(f"${{{group.address}.arn_suffix}}") == 2, str(stack)  # its errors, and its requests


class TestLogMetrics:
    def test_they_are_read_out_of_lines_that_services_write(self) -> None:
        """Fails if a log call, or a field of it, is renamed or moved to another service."""
        told = {service.module: logged(f"services/{service.name}/src", "shared/src") for service in SERVICES}
        for each in every("aws_cloudwatch_log_metric_filter"):
            fields = set(re.findall(r"\$\.(\w+)", each["pattern"] + each["metric_transformation"]["value"]))
            (event,) = re.findall(r'\$\.event = "(\w+)"', each["pattern"])
            (module,) = re.findall(r"\$\{aws_cloudwatch_log_group\.(\w+)_logs\.name\}", each["log_group_name"])
            assert event in told[module], f"{each}: nothing in {module} logs {event}"
            assert fields - {"event"} <= told[module][event], f"{each}: {event} lacks a field"

    def test_accepted_orders_are_those_that_the_api_answers_so(self) -> None:
        accepted = [
            each for each in every("aws_cloudwatch_log_metric_filter") if each.name == "AcceptMilliseconds_filter"
        ]
        for each in accepted:
            assert f'$.method = "POST" && $.route = "{V1}/orders" && $.status = 202' in each["pattern"], str(each)

    def test_every_metric_of_ours_that_is_read_is_made(self) -> None:
        made = {
            (
                stack.variant,
                stack.region,
                each["metric_transformation"]["namespace"],
                each["metric_transformation"]["name"],
            )
            for stack in of_kind("supporting")
            for each in stack.resources("aws_cloudwatch_log_metric_filter")
        }
        read = {
            (alarm.stack.variant, alarm.stack.region, metric["namespace"], metric["metric_name"])
            for alarm in alarms()
            for metric in metrics(alarm).values()
            if metric["namespace"] not in NAMESPACES
        }
        assert read == made


def logged(*folders: str) -> dict[str, set[str]]:
    """Return the fields that every log call of an event has, by the name of the event."""
    found: dict[str, set[str]] = {}
    named: set[str] = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and is_log_call(node, tree):
                event = ast.literal_eval(node.args[0])
                fields = {str(keyword.arg) for keyword in node.keywords}
                found[event] = found.get(event, fields) & fields
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "HandlingReport":
                named |= {ast.literal_eval(key) for key in fields_named_in(node)}
    found["handlings"] = found.get("handlings", set()) | named
    return found


def fields_named_in(report: ast.Call) -> Iterator[ast.expr]:
    """Yield the names of the fields that a report of handlings has besides its own."""
    for keyword in report.keywords:
        if keyword.arg == "named" and isinstance(keyword.value, ast.Dict):
            yield from (key for key in keyword.value.keys if key is not None)


def is_log_call(call: ast.Call, tree: ast.Module) -> bool:
    """Return whether the call is `log.info("event", …)`, or of a name that the module gives to such a method."""
    names = {
        ast.unparse(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and "log." in ast.unparse(node.value)
        for target in node.targets
    }
    callee = ast.unparse(call.func)
    is_logger = callee in names or re.fullmatch(r"log\.\w+", callee) is not None
    return is_logger and bool(call.args) and isinstance(call.args[0], ast.Constant)


class TestDashboard:
    def test_it_parses_and_its_panels_do_not_overlap(self) -> None:
        for dashboard in every("aws_cloudwatch_dashboard"):
            panels = json.loads(dashboard["dashboard_body"])["widgets"]
            places = [(panel["x"], panel["y"]) for panel in panels]
            assert len(panels) == len(set(places)) >= 10, str(dashboard)
            assert all(panel["x"] + panel["width"] <= 24 for panel in panels), str(dashboard)  # CloudWatch's grid
            assert all(panel["properties"]["region"] == dashboard.stack.region for panel in panels), str(dashboard)

    def test_a_panel_is_about_metrics(self) -> None:
        for dashboard in every("aws_cloudwatch_dashboard"):
            for metric in shown(dashboard):
                *names, options = metric
                assert len(names) >= 2, str(dashboard)
                assert len(names) % 2 == 0, f"{dashboard}: a dimension has a name and a value"
                assert options.keys() == {"stat"}, str(dashboard)
                assert names[0] in NAMESPACES | {f"OrderPlatform/{dashboard.stack.owner}"}, str(dashboard)

    def test_it_shows_what_alarms_watch(self) -> None:
        for dashboard in every("aws_cloudwatch_dashboard"):
            names = {metric[1] for metric in shown(dashboard)}
            watched = {
                metric["metric_name"]
                for alarm in dashboard.stack.resources("aws_cloudwatch_metric_alarm")
                for metric in metrics(alarm).values()
            }
            assert watched <= names, str(dashboard)

    def test_one_for_each_network(self) -> None:
        for stack in of_kind("supporting"):
            assert len(stack.resources("aws_cloudwatch_dashboard")) == (not stack.environment.is_feature), str(stack)


def shown(dashboard: Resource) -> Iterator[list[Any]]:
    for panel in json.loads(dashboard["dashboard_body"])["widgets"]:
        yield from panel["properties"]["metrics"]
