"""Additions to schemathesis, which loads this module: a check of refusals, and a record of all requests.

The environment variable FUZZ_RECORD names the file of the record: a JSON document per line.
"""

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response

from order_api.order.metadata import MAX_BYTES
from order_shared.domain.order.models import MAX_LINES, MAX_QUANTITY, normal_reference
from order_shared.runtime.validation import first_control

RECORD = "FUZZ_RECORD"
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@schemathesis.check
def refusals_have_a_reason(ctx: CheckContext, response: Response, case: "Case[Any]") -> None:  # noqa: ARG001 - its signature
    """A request that fits the schema is refused with 400 only for a rule that no schema can state."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive or response.status_code != HTTPStatus.BAD_REQUEST:
        return
    if has_header_of_another_form(case) or broken_rules(case.query or {}, case.body):
        return
    raise AssertionError("a request that fits the schema and every rule of the description was refused with 400")


def has_header_of_another_form(case: "Case[Any]") -> bool:
    """Return whether a header does not fit its pattern: some that schemathesis takes for valid do not, such as 0."""
    headers: Mapping[str, Any] = case.headers or {}
    for parameter in case.operation.headers:
        pattern, value = parameter.definition["schema"].get("pattern"), headers.get(parameter.name)
        if pattern and value is not None and not re.search(pattern, str(value)):
            return True
    return False


def broken_rules(query: Mapping[str, Any], body: object) -> list[str]:
    """Return the rules of the descriptions that the request breaks, among those that the schemas cannot state."""
    fields = body if isinstance(body, dict) else {}
    texts = [value for value in (query.get("q"), fields.get("reference"), fields.get("name")) if isinstance(value, str)]
    metadata: Mapping[str, str] = fields.get("metadata") or {}
    units = _units(fields.get("lines"))
    rules = {
        "a cursor comes from an earlier page": "cursor" in query,
        "a position comes from an earlier page": query.get("after", "latest") != "latest",
        "a text has no control of direction and no separator": any(
            first_control(text) is not None for text in (*texts, *metadata.values())
        ),
        "a text is more than blanks": any(not normal_reference(text) for text in texts),
        "metadata has a limited size in UTF-8": len("".join(map("".join, metadata.items())).encode()) > MAX_BYTES,
        "the lines have a limited number of products": len(units) > MAX_LINES,
        "the lines have a limited number of units of a product": any(each > MAX_QUANTITY for each in units.values()),
        "times are from 1970 to 9999, and the start is not after the end": not (
            _is_window(query.get("created_at[gte]"), query.get("created_at[lt]"))
            and _is_window(fields.get("since"), fields.get("until"))
        ),
    }
    return [rule for rule, broken in rules.items() if broken]


def _units(lines: object) -> dict[str, int]:
    units: dict[str, int] = {}
    for line in lines if isinstance(lines, list) else ():
        units[line["sku"]] = units.get(line["sku"], 0) + int(line["quantity"])
    return units


def _is_window(start: str | None, end: str | None) -> bool:
    """Return whether the times, each with a default, are a period that can be asked for."""
    try:
        first = FIRST if start is None else datetime.fromisoformat(start)
        last = LAST if end is None else datetime.fromisoformat(end)
    except ValueError:
        return False
    return FIRST <= first <= last <= LAST


@schemathesis.hook
def after_call(context: HookContext, case: "Case[Any]", response: Response) -> None:  # noqa: ARG001 - its signature
    path = os.environ.get(RECORD)
    if path is None:
        return
    request = response.request
    body = request.body.decode("latin-1") if isinstance(request.body, bytes) else request.body
    phase = case.meta.phase.name.value if case.meta else "unknown"
    sent = [request.method, request.path_url, request.headers.get("Idempotency-Key"), body]
    with open(path, "a", encoding="utf-8") as record:  # noqa: PTH123 - opened for each of thousands of requests
        record.write(json.dumps([phase, response.status_code, *sent]) + "\n")
