"""Document of every setting of every program. `python -m tests.configuration`, a part of `make docs`, writes it."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic.fields import FieldInfo

from devstack.address import PartSettings
from devstack.commands.local import SeedSettings
from order_api.config import ApiSettings
from order_notifier.config import NotifierSettings
from order_processor.config import ProcessorSettings
from order_shared.runtime.config import PaymentSettings, Settings
from order_shared.runtime.settings import ProgramSettings, describe, example, variables
from order_shared.runtime.tracing import TracingSettings
from order_shared.runtime.webhooks import WebhookSettings
from orderctl.settings import ApiAccess, DeploySettings

PATH = Path(__file__).parents[1] / "docs" / "configuration.md"

PROGRAMS: Mapping[type[ProgramSettings], str] = {
    Settings: "Every service, and the commands of `orderctl` on storage and queues",
    ApiSettings: "order-api, in addition",
    ProcessorSettings: "order-processor, in addition",
    NotifierSettings: "order-notifier, in addition",
    WebhookSettings: "order-api and order-notifier, in addition",
    PaymentSettings: "order-processor and `orderctl payments`, in addition",
    TracingSettings: "Traces of all services (OpenTelemetry)",
    ApiAccess: "`orderctl orders`, as a customer",
    DeploySettings: "`orderctl deploy` and the other deployment commands, and `orderctl env`",
    SeedSettings: "`orderctl local seed`",
    PartSettings: "The parts of the local stack, each as a process of its own (`python -m devstack.…`)",
}

INTRODUCTION = """# Configuration

Settings are environment variables. Each program checks all of its settings before it starts anything, and ends with
exit code 2 and one line for each wrong setting: its name, and a right value. Values are never printed.

- White space around a value is removed. An empty variable is not set.
- Numbers are decimal, without units, `_`, `inf` and `nan`. The column *value* has the unit.
- An unknown `ORDER_` variable is ignored: one file can configure several programs.

`make docs` writes this page from the code.
"""

OTHERS: Mapping[str, str] = {
    "`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, …": "credentials, from botocore's own sources. The local stack ignores the "
    "user's configuration of AWS",
    "`AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT`": "honoured, as by AWS's tools",
    "`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`": "plain HTTP proxies for AWS, payments, key sets, "
    "the API and collectors. This machine (`localhost`, `127.0.0.0/8`, `::1`) never has a proxy. A program that would "
    "need a SOCKS proxy ends with one sentence",
    "`SSL_CERT_FILE`, `AWS_CA_BUNDLE`": "certificate authorities, as of OpenSSL and botocore",
    "`OTEL_…`": "further variables of OpenTelemetry's SDK. `OTEL_PROPAGATORS` is ignored with a warning",
    "`NO_COLOR`, `COLUMNS`": "output of `orderctl`. A width in which nothing can be read is ignored",
    "`TF_TOKEN_app_terraform_io`": "token of HCP Terraform, if it stores the state",
    "`UV_…`, `PIP_…`, `PYTHON…`": "only those that configure the access to packages reach the set-up: "
    "[development](development.md)",
}


def document() -> str:
    others = "".join(f"| {names} | {effect} |\n" for names, effect in OTHERS.items())
    head = "\n## Variables that others define\n\n| variables | effect |\n|---|---|\n"
    return INTRODUCTION + "".join(map(_section, PROGRAMS)) + head + others


def own_fields(kind: type[ProgramSettings]) -> dict[str, FieldInfo]:
    """Return the fields that the class adds to those of its base."""
    return {name: field for name, field in kind.model_fields.items() if name in kind.__annotations__}


def _section(kind: type[ProgramSettings]) -> str:
    head = f"\n## {PROGRAMS[kind]}\n\n| variable | value | default | example | meaning |\n|---|---|---|---|---|\n"
    meanings = dict(_docstrings(kind))
    return head + "".join(_row(name, field, meanings.get(name, "")) for name, field in own_fields(kind).items())


def _row(name: str, field: FieldInfo, meaning: str) -> str:
    first, *others = variables(name, field)
    default = "required" if field.is_required() else _code(example(FieldInfo(default=field.default)))
    also = f" Also `{'`, `'.join(others)}`." if others else ""
    cells = (f"`{first}`", describe(name, field), default, _code(example(field)), f"{meaning}{also}".strip())
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n"


def _code(value: str | None) -> str:
    return "" if value is None else f"`{value}`"


def _docstrings(kind: type[ProgramSettings]) -> Iterator[tuple[str, str]]:
    """Yield the text below each field, on one line."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    for field, following in zip(definition.body, definition.body[1:], strict=False):
        match field, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(text.split())


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
