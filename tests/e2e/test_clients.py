"""The scenarios of `clients/scenarios.json`, by each client against the running stack."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import order_client
from devstack.issuer import ALL_SCOPES
from order_client import OrderClient, SyncOrderClient
from tests.e2e.conftest import Shop
from tests.factories import make_tenant

CLIENTS = Path(__file__).parents[2] / "clients"
SCENARIOS: list[dict[str, Any]] = json.loads((CLIENTS / "scenarios.json").read_text("utf-8"))
TYPESCRIPT = CLIENTS / "typescript"


def snake(name: str) -> str:
    return re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", name)


def resolved(value: Any, saved: Mapping[str, Any]) -> Any:
    """Replace `$name.field` by the field of a saved result."""
    match value:
        case str() if value.startswith("$"):
            name, field = value[1:].split(".")
            return getattr(saved[name], field)
        case list():
            return [resolved(each, saved) for each in value]
        case dict():
            return {key: resolved(each, saved) for key, each in value.items()}
    return value


def assert_has(actual: Any, expected: Any) -> None:
    """Assert that objects have the expected fields, lists the expected entries, and empty ones nothing."""
    match expected:
        case dict() if expected:
            for name, value in expected.items():
                assert_has(actual[name] if isinstance(actual, Mapping) else getattr(actual, name), value)
        case list():
            assert len(actual) == len(expected)
            for found, value in zip(actual, expected, strict=True):
                assert_has(found, value)
        case _:
            assert actual == expected


def arguments(step: Mapping[str, Any], saved: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments as the Python clients take them: an object at the end is keyword arguments."""
    given = resolved(step["args"], saved)
    named = {snake(name): value for name, value in given.pop().items()} if given and isinstance(given[-1], dict) else {}
    return [*given, *(named.pop(name) for name in ("lines", "url") if name in named)], named


def assert_outcome(step: Mapping[str, Any], result: Any, saved: dict[str, Any]) -> None:
    if "save" in step:
        saved[step["save"]] = result
    if "result" in step:
        assert_has(result, resolved(step["result"], saved))
    if "items" in step:
        assert_has(result, resolved(step["items"], saved))


@contextmanager
def expecting(step: Mapping[str, Any]) -> Iterator[None]:
    if "throws" not in step:
        yield
        return
    with pytest.raises(getattr(order_client, step["throws"])):
        yield


def token_of(shop: Shop) -> str:
    """Return a token of a new tenant, which has nothing yet."""
    return shop.issuer.token(make_tenant(), "ada", f"{ALL_SCOPES} orders:act orders:admin webhooks:write")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario["name"]))
async def test_the_asynchronous_python_client(shop: Shop, scenario: dict[str, Any]) -> None:
    saved: dict[str, Any] = {}
    async with OrderClient(str(shop.http.base_url), token_of(shop)) as own:
        client = own.acting_for(scenario["acting_for"]) if "acting_for" in scenario else own
        for step in scenario["steps"]:
            positional, named = arguments(step, saved)
            with expecting(step):
                returned = getattr(client, snake(step["call"]))(*positional, **named)
                result = [item async for item in returned] if "items" in step else await returned
                assert_outcome(step, result, saved)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario["name"]))
def test_the_synchronous_python_client(shop: Shop, scenario: dict[str, Any]) -> None:
    saved: dict[str, Any] = {}
    with SyncOrderClient(str(shop.http.base_url), token_of(shop)) as own:
        client = own.acting_for(scenario["acting_for"]) if "acting_for" in scenario else own
        for step in scenario["steps"]:
            positional, named = arguments(step, saved)
            with expecting(step):
                result = getattr(client, snake(step["call"]))(*positional, **named)
                assert_outcome(step, list(result) if "items" in step else result, saved)


def test_the_typescript_client(shop: Shop) -> None:
    if not (TYPESCRIPT / "built").exists():
        pytest.skip("the TypeScript client is not built: `make check-generators` builds it, with Node and npm")
    tokens = " ".join(token_of(shop) for _ in SCENARIOS)
    done = subprocess.run(
        ["node", "--test", "built/test/scenarios.test.js"],
        cwd=TYPESCRIPT,
        env={**os.environ, "ORDER_API_URL": str(shop.http.base_url), "ORDER_TOKENS": tokens},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"# pass {len(SCENARIOS)}" in done.stdout
