"""Credentials from real sources: a container endpoint, a process, a file. botocore's chain is not faked."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from aws_json_client import DYNAMODB, AwsClient, BotocoreCredentials, NoCredentials, RetryPolicy, SignedTransport
from aws_json_client import credentials as aws_credentials
from aws_json_client.http import Request, Response
from tests.waiting import eventually

LIFETIME = timedelta(hours=5)


class ContainerEndpoint:
    """The endpoint that gives a task its credentials: KEY1, KEY2, …; an answer waits while `open` is not set."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.repeats = False
        self.fails = False

    async def answer(self, _: web.Request) -> web.Response:
        self.given.append(self.given[-1] if self.repeats and self.given else f"KEY{len(self.given) + 1}")
        name = self.given[-1]
        await self.open.wait()
        if self.fails:
            return web.Response(status=404)
        end = (datetime.now(UTC) + LIFETIME).strftime("%Y-%m-%dT%H:%M:%SZ")
        return web.json_response({"AccessKeyId": name, "SecretAccessKey": "s", "Token": "t", "Expiration": end})


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
async def endpoint(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ContainerEndpoint]:
    container = ContainerEndpoint()
    app = web.Application()
    app.router.add_get("/credentials", container.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{port}/credentials")
    yield container
    container.open.set()
    await runner.cleanup()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_credentials, "PATIENCE", 0.05)
    monkeypatch.setattr(aws_credentials, "FETCH_PAUSE", 0.0)


class TestContainer:
    async def test_a_long_lived_key_is_fetched_once_for_all_callers(self, endpoint: ContainerEndpoint) -> None:
        credentials = BotocoreCredentials()
        keys = await asyncio.gather(*(credentials.get_key() for _ in range(20)))
        assert {key.id for key in keys} == {"KEY1"}
        assert (await credentials.get_key()).id == "KEY1"
        assert endpoint.given == ["KEY1"]

    @pytest.mark.usefixtures("impatient")
    async def test_the_fetch_continues_after_every_caller_has_timed_out(self, endpoint: ContainerEndpoint) -> None:
        endpoint.open.clear()
        credentials = BotocoreCredentials()
        answers = await asyncio.gather(*(credentials.get_key() for _ in range(20)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {NoCredentials}
        endpoint.open.set()
        await eventually(lambda: credentials._key is not None)
        assert (await credentials.get_key()).id == "KEY1"
        assert endpoint.given == ["KEY1"]

    async def test_a_valid_key_is_used_while_the_next_fetch_is_slow(self, endpoint: ContainerEndpoint) -> None:
        credentials = BotocoreCredentials()
        assert (await credentials.get_key()).id == "KEY1"
        source: Any = credentials._source
        source._expiry_time = datetime.now(UTC) + timedelta(minutes=5)  # renewed from 15 minutes before
        endpoint.open.clear()
        assert [(await credentials.get_key()).id for _ in range(3)] == ["KEY1"] * 3
        await eventually(lambda: len(endpoint.given) == 2)
        endpoint.open.set()
        await eventually(lambda: credentials._fetch is None)
        assert (await credentials.get_key()).id == "KEY2"
        assert endpoint.given == ["KEY1", "KEY2"]

    @pytest.mark.usefixtures("impatient")
    async def test_a_failed_endpoint_is_retried_later(self, endpoint: ContainerEndpoint) -> None:
        endpoint.fails = True
        credentials = BotocoreCredentials()
        with pytest.raises(NoCredentials):
            await credentials.get_key()
        endpoint.fails = False
        await eventually(lambda: credentials._fetch is None)
        assert (await credentials.get_key()).secret == "s"

    async def test_a_rejected_key_is_replaced_bypassing_the_sessions_cache(self, endpoint: ContainerEndpoint) -> None:
        credentials = BotocoreCredentials()
        first = await credentials.get_key()
        credentials.refuse(first)
        assert (await credentials.get_key()).id == "KEY2"
        credentials.refuse(first)  # the answer to a request that was signed before
        assert (await credentials.get_key()).id == "KEY2"
        assert endpoint.given == ["KEY1", "KEY2"]

    async def test_a_rejected_key_that_its_source_returns_again_is_used_again(
        self, endpoint: ContainerEndpoint
    ) -> None:
        """A new key takes time to reach all of AWS."""
        endpoint.repeats = True
        credentials = BotocoreCredentials()
        for _ in range(5):
            key = await credentials.get_key()
            assert key.id == "KEY1"
            credentials.refuse(key)
        assert len(endpoint.given) == 2, "asked anew once, and then once a second"


class TestProcessAndFile:
    async def test_a_credential_process_runs_again_when_its_key_is_rejected(self, tmp_path: Path) -> None:
        runs = tmp_path / "runs"
        script = tmp_path / "give.py"
        script.write_text(
            "import json, pathlib\n"
            f"runs = pathlib.Path({str(runs)!r})\n"
            "runs.write_text(runs.read_text() + 'x' if runs.exists() else 'x')\n"
            "number = len(runs.read_text())\n"
            "print(json.dumps({'Version': 1, 'AccessKeyId': f'KEY{number}', 'SecretAccessKey': 's'}))\n"
        )
        (tmp_path / "config").write_text(f"[default]\ncredential_process = {sys.executable} {script}\n")
        credentials = BotocoreCredentials()
        first = await credentials.get_key()
        credentials.refuse(first)
        assert (first.id, (await credentials.get_key()).id) == ("KEY1", "KEY2")

    async def test_a_credentials_file_is_read_again_when_its_key_is_rejected(self, tmp_path: Path) -> None:
        def write(name: str) -> None:
            text = f"[default]\naws_access_key_id = {name}\naws_secret_access_key = s\n"
            (tmp_path / "credentials").write_text(text)

        write("KEY1")
        credentials = BotocoreCredentials()
        first = await credentials.get_key()
        write("KEY2")
        assert (await credentials.get_key()).id == "KEY1"
        credentials.refuse(first)
        assert (await credentials.get_key()).id == "KEY2"

    async def test_without_any_source_there_are_no_credentials(self) -> None:
        with pytest.raises(NoCredentials, match="no source in botocore"):
            await BotocoreCredentials().get_key()


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException"])
async def test_a_call_with_a_rejected_key_succeeds_with_the_next_key(endpoint: ContainerEndpoint, code: str) -> None:
    used: list[str] = []

    async def send(request: Request) -> Response:
        used.append(request.headers["authorization"].partition("Credential=")[2].partition("/")[0])
        if used[-1] == "KEY1":
            return Response(400, json.dumps({"__type": f"com.amazon.coral.service#{code}"}).encode())
        return Response(200, b'{"Item": {}}')

    transport = SignedTransport(DYNAMODB, send, BotocoreCredentials(), region="eu-central-1", host="dynamodb.test")
    client = AwsClient(transport, RetryPolicy(base=0.0))
    found = await asyncio.gather(*(client.request("GetItem", {}) for _ in range(10)))
    assert found == [{"Item": {}}] * 10
    assert set(used) == {"KEY1", "KEY2"}
    assert endpoint.given == ["KEY1", "KEY2"]
