"""docs/configuration.md is made from the settings, and nothing reads the environment past their reader."""

import re

from order_shared.runtime.settings import ProgramSettings
from tests.configuration import PATH, PROGRAMS, document
from tests.suite.sources import Call, calls, classes, mentions, shipped

READERS = {
    "cli/src/orderctl/main.py": "exempts this machine from proxies",
    "cli/src/orderctl/terminal.py": "drops a width that nothing can be printed in",
    "devtools/approval.py": "runs in GitHub's workflow, with its variables",
    "devtools/provenance.py": "runs in GitHub's workflow, with its variables",
    "devtools/devstack/src/devstack/ecs_stack.py": "passes it to a child",
    "devtools/devstack/src/devstack/emulator.py": "passes it to a child",
    "devtools/devstack/src/devstack/payments/process.py": "passes it to a child",
    "devtools/devstack/src/devstack/stack.py": "passes it to children",
    "devtools/setup/__main__.py": "runs before anything is installed; decision 21",
    "infra/constructs/__init__.py": "tells jsii where Node.js is",
    "infra/operate/context.py": "passes it to Terraform, and finds programs",
    "packages/aws-json-client/src/aws_json_client/transport.py": "AWS_SDK_UA_APP_ID, a label",
    "shared/src/order_shared/healthcheck.py": "imports only the standard library, for a fast start",
    "shared/src/order_shared/runtime/program.py": "settles it before anything reads it",
    "shared/src/order_shared/runtime/settings.py": "is the reader",
    "shared/src/order_shared/runtime/tracing/__init__.py": "decides whether OpenTelemetry is imported",
}
"""Files that mention the environment, each with its reason. Add a setting to a class of settings instead."""


def test_the_document_is_up_to_date() -> None:
    assert PATH.read_text(encoding="utf-8") == document(), "run `make docs`"


def test_every_class_of_settings_is_in_the_document() -> None:
    found = {
        name for _, name, bases in classes(shipped()) if bases & {"ProgramSettings", *(k.__name__ for k in PROGRAMS)}
    }
    assert found == {kind.__name__ for kind in PROGRAMS}
    assert all(issubclass(kind, ProgramSettings) for kind in PROGRAMS)


def test_the_environment_is_read_by_the_reader_only() -> None:
    reading = ("environ", "environb", "getenv", "getenvb")
    assert {path for path, name in mentions(shipped(), "os") if name in reading} == READERS.keys()


CLIENTS = {
    "httpx2.Client": "transport",
    "httpx2.AsyncClient": "transport",
    "httpx2.HTTPTransport": "proxy",
    "httpx2.AsyncHTTPTransport": "proxy",
    "aiohttp.ClientSession": "proxy",
    "stripe.StripeClient": "http_client",
}
"""Argument of each client that decides about the proxy."""
OTHERS = re.compile(
    r"httpx2\.(get|post|put|patch|delete|head|options|request|stream)|aiohttp\.request"
    r"|(requests|httpx|urllib3|websockets|http\.client)\..+|urllib\.request\.(urlopen|urlretrieve|.*[Oo]pener)"
)
RAW = {
    "devtools/devstack/src/devstack/probe.py": "reaches this machine only, and reads no proxy",
}


def test_every_http_client_asks_which_proxy_to_use() -> None:
    """By `proxy_for`: this machine has none, and a proxy that cannot be used is told in one sentence."""
    assert [each.where for each in calls(shipped()) if not is_careful(each)] == []


def is_careful(call: Call) -> bool:
    if call.name in CLIENTS:
        return CLIENTS[call.name] in call.keywords
    return not OTHERS.fullmatch(call.name) or call.path in RAW
