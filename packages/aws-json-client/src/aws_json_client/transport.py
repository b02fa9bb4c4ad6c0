"""Transport of signed requests to one service, without retries: the port, and its implementation over `http.py`."""

import os
import platform
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, NamedTuple, NoReturn, Protocol

import orjson

from aws_json_client.credentials import CredentialsProvider, Key
from aws_json_client.endpoints import Service, resolve
from aws_json_client.errors import REFUSED_KEY_CODES, ConnectionFailed, ForeignResponse, ServiceError
from aws_json_client.http import Request, Response, Send, open_http
from aws_json_client.signing import Signer

CLOCK_TOLERANCE = timedelta(minutes=4)
"""Clock difference above which signatures use AWS's time. AWS rejects signatures that are five minutes off."""


class Answer(NamedTuple):
    """A successful response: its JSON object and AWS's request id."""

    content: dict[str, Any]
    request_id: str | None


class Transport(Protocol):
    """Port for requests to one service. Each call makes one attempt."""

    @property
    def name(self) -> str:
        """The name of the service, such as `dynamodb`."""

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        """Make one attempt. Raises AwsError: NoCredentials, ConnectionFailed, ServiceError or ForeignResponse."""


class SignedTransport:
    """Transport without retries: the caller decides which requests are safe to repeat."""

    def __init__(
        self, service: Service, send: Send, credentials: CredentialsProvider, *, region: str, host: str
    ) -> None:
        self.name = service.name
        self._send = send
        self._credentials = credentials
        self._prefix = service.target_prefix
        self._signer = Signer(service=service.name, region=region, host=host)
        self._user_agent = user_agent()
        self._clock_offset = timedelta()

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        """Make one attempt. Raises AwsError."""
        key = await self._credentials.get_key()
        body = orjson.dumps(payload)
        now = datetime.now(UTC) + self._clock_offset
        headers = self._signer.headers(key, f"{self._prefix}.{operation}", body, now)
        headers["user-agent"] = self._user_agent
        try:
            response = await self._send(Request(headers, body))
        except OSError as error:
            raise ConnectionFailed(error) from error
        request_id = response.header(b"x-amzn-requestid")
        content = _object(response.body)
        if response.status != HTTPStatus.OK or content is None:
            self._raise(response, content, key, request_id)
        return Answer(content, request_id)

    def _raise(self, response: Response, content: dict[str, Any] | None, key: Key, request_id: str | None) -> NoReturn:
        """Raise the error of the response. Before that, report a rejected key, or correct the clock offset."""
        code = _code(content)
        if code is None or content is None or response.status == HTTPStatus.OK:
            raise ForeignResponse(response.status, request_id=request_id)
        error = ServiceError(code, response.status, content, request_id=request_id)
        if code in REFUSED_KEY_CODES:
            self._credentials.refuse(key)
        if error.reason == "clock":
            self._correct_clock(response)
        raise error

    def _correct_clock(self, response: Response) -> None:
        """Set the offset from the local clock to AWS's time, for later signatures; 0 within CLOCK_TOLERANCE."""
        try:
            theirs = parsedate_to_datetime(response.header(b"date") or "")
        except ValueError:
            return
        offset = theirs.replace(tzinfo=UTC) - datetime.now(UTC)
        self._clock_offset = offset if abs(offset) > CLOCK_TOLERANCE else timedelta()


def user_agent() -> str:
    """Return the `User-Agent` header. `AWS_SDK_UA_APP_ID` adds the application's name, as in AWS's SDKs."""
    parts = [
        f"aws-json-client/{version('aws-json-client')}",
        f"os/{platform.system().lower()}",
        f"lang/python#{platform.python_version()}",
    ]
    application = os.environ.get("AWS_SDK_UA_APP_ID", "")
    if application.isascii() and application.isprintable() and application.strip():
        parts.append(f"app/{application.strip()}")
    return " ".join(parts)


def _object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a body; None if the body is not a JSON object. An empty body, as SQS sends, is `{}`."""
    try:
        content = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        return None
    return content if isinstance(content, dict) else None


def _code(content: dict[str, Any] | None) -> str | None:
    """Return the error code, such as `ThrottlingException`; None if the content is not from an AWS service."""
    kind = (content or {}).get("__type")
    return kind.rpartition("#")[2] if isinstance(kind, str) else None


@asynccontextmanager
async def open_transport(
    service: Service,
    credentials: CredentialsProvider,
    *,
    region: str,
    endpoint: str | None = None,
    timeout: float = 5.0,  # noqa: ASYNC109 - limit of each request
    connections: int = 10,
) -> AsyncIterator[Transport]:
    """Open a transport with its own connection pool until the end of the block.

    `endpoint` replaces the address of the service in the region. `timeout` is the time limit for a response, in
    seconds. Raises ValueError for an unknown region or an invalid endpoint.
    """
    address = resolve(service, region, endpoint)
    async with open_http(address, timeout=timeout, connections=connections) as send:
        yield SignedTransport(service, send, credentials, region=region, host=address.host)
