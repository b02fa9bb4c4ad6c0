"""Clients that other tools generate from the OpenAPI document place, read, list and cancel an order."""

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import Shop
from tests.generators.gates import COMPILER, GATES, HEY_API, OPENAPI_TYPESCRIPT, PYTHON_CLIENT, PYTHON_GENERATOR
from tests.generators.workshop import NODE, PYTHON, SOURCES, prepare, run

NODE_PROGRAMS = NODE / "node_modules" / "installed"
PYTHON_PROGRAM = PYTHON / "openapi-python-client"
SKU = "TEA"


@pytest.mark.parametrize(
    ("gates", "program", "needed"),
    [
        ([PYTHON_GENERATOR], ["python", "python_client.py"], PYTHON_PROGRAM),
        ([OPENAPI_TYPESCRIPT, HEY_API, COMPILER], ["node", "built/openapi_fetch.js"], NODE_PROGRAMS),
        ([OPENAPI_TYPESCRIPT, HEY_API, COMPILER], ["node", "built/hey.js"], NODE_PROGRAMS),
    ],
    ids=["openapi-python-client", "openapi-typescript", "hey-api"],
)
async def test_a_generated_client_orders(
    shop: Shop, gates: list[str], program: list[str], needed: Path, tmp_path: Path
) -> None:
    if not needed.exists():
        pytest.skip("the generators are not installed: `make check-generators` installs them")
    await shop.stock(SKU, 100)
    prepare(tmp_path)
    for gate in GATES:
        if gate.name in gates:
            *_, last = gate.run(tmp_path)
            assert last.succeeded, last.output
    (tmp_path / PYTHON_CLIENT).mkdir(exist_ok=True)
    scenario = SOURCES / "scenarios" / "python_client.py"
    (tmp_path / PYTHON_CLIENT / scenario.name).write_bytes(scenario.read_bytes())
    folder = tmp_path / PYTHON_CLIENT if program[0] == "python" else tmp_path
    token = shop.headers()["Authorization"].removeprefix("Bearer ")
    done = run([*program, str(shop.http.base_url), token, SKU], folder)
    assert done.succeeded, done.output
    placed, total, status, metadata, captured, listed, cancelled = json.loads(done.output)
    assert (total, cancelled, listed) == (1180, placed, [placed])
    assert (status, metadata, captured) == ("confirmed", {"cart": "c-1"}, 1180)
