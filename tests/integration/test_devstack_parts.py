"""The parts of the local stack, each a process of its own, as compose.yaml starts them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import jwt
import pytest

from devstack import provision
from devstack.issuer import ALGORITHM, AUDIENCE, Issuer
from devstack.payments.process import start_payments
from devstack.processes import Child, ProcessGroup
from devstack.stack import KEY, REGION
from order_shared.tables import TABLES
from tests import engines
from tests.waiting import eventually

PREFIX = "parts-"


@pytest.fixture
def group(tmp_path: Path) -> Iterator[ProcessGroup]:
    with ProcessGroup(tmp_path / "logs") as started:
        yield started


def start(group: ProcessGroup, part: str, *options: str, **variables: str) -> Child:
    return group.start(part, [sys.executable, "-m", f"devstack.{part}", *options], {**os.environ, **variables})


async def port_of(child: Child) -> int:
    await eventually(lambda: child.listening_port() is not None, f"the port of {child.name}")
    port = child.listening_port()
    assert port is not None
    return port


async def test_the_issuer_publishes_the_key_that_its_tokens_are_signed_with(
    group: ProcessGroup, tmp_path: Path
) -> None:
    key = tmp_path / "issuer.pem"
    child = start(group, "issuer", "--key", str(key), ORDER_HOST="127.0.0.1", ORDER_PORT="0")
    address = f"http://127.0.0.1:{await port_of(child)}"
    jwks = jwt.PyJWKSet.from_dict(httpx2.get(f"{address}/.well-known/jwks.json").json())
    token = Issuer.at(key).token("acme", "ada")
    assert jwt.decode(token, jwks.keys[0], algorithms=[ALGORITHM], audience=AUDIENCE)["sub"] == "ada"
    assert httpx2.get(f"{address}/healthz").status_code == 200
    assert child.stop() == 0


async def test_the_embedded_aws_listens_where_it_is_told(group: ProcessGroup, unused_tcp_port: int) -> None:
    child = start(group, "emulator", ORDER_HOST="127.0.0.1", ORDER_PORT=str(unused_tcp_port))

    def is_ready() -> bool:
        child.ensure_alive()
        try:
            return httpx2.get(f"http://127.0.0.1:{unused_tcp_port}/_ministack/ready").is_success
        except httpx2.TransportError:
            return False

    await eventually(is_ready, "the embedded AWS")


def test_the_payment_sandbox_says_that_it_is_there(group: ProcessGroup) -> None:
    _, address = start_payments(group)
    assert httpx2.get(f"{address}/healthz").json() == {"status": "ok"}


def test_tables_are_made_where_the_environment_says(emulator_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": emulator_endpoint,
        "ORDER_TABLE_PREFIX": PREFIX,
    }.items():
        monkeypatch.setenv(name, value)
    provision.main()
    provision.main()
    names = engines.client("dynamodb", emulator_endpoint).list_tables()["TableNames"]
    assert {f"{PREFIX}{table.name}" for table in TABLES} <= set(names)


def test_no_table_is_made_on_aws_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_REGION", REGION)
    with pytest.raises(SystemExit, match="Terraform"):
        provision.main()
