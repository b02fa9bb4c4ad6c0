"""Transport over aioboto3. It is slower than aws-json-client, and is the reference for requests and responses."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aioboto3  # pyright: ignore[reportMissingImports]  # an extra, which excludes the newest botocore
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    NoCredentialsError,
    ReadTimeoutError,
)

from aws_json_client import (
    Answer,
    ConnectionFailed,
    CredentialsProvider,
    ForeignResponse,
    NoCredentials,
    Service,
    ServiceError,
    StaticCredentials,
    Transport,
)

CONNECT_TIMEOUT = 1.0


class Aioboto3Transport:
    """Transport over an aioboto3 client, which serializes, signs and parses with botocore's models."""

    def __init__(self, name: str, client: Any) -> None:
        self.name = name
        self._client = client

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        """Make one attempt. Raises AwsError."""
        try:
            content = await getattr(self._client, xform_name(operation))(**payload)
        except ClientError as error:
            raise _service_error(error) from error
        except (NoCredentialsError, CredentialRetrievalError) as error:
            raise NoCredentials(str(error)) from error
        except (ReadTimeoutError, ConnectTimeoutError) as error:
            raise ConnectionFailed(TimeoutError(str(error))) from error
        except BotoCoreError as error:
            raise ConnectionFailed(ConnectionError(str(error))) from error
        metadata = content.pop("ResponseMetadata")
        return Answer(content, metadata.get("RequestId"))


def _service_error(error: ClientError) -> ServiceError | ForeignResponse:
    """Convert botocore's ClientError. botocore uses the HTTP status as the code of a response that it cannot parse."""
    response: Any = error.response
    metadata, code = response.get("ResponseMetadata", {}), str(response["Error"]["Code"])
    status, request_id = metadata.get("HTTPStatusCode", 0), metadata.get("RequestId")
    if code == str(status) or not code:
        return ForeignResponse(status, request_id=request_id)
    return ServiceError(code.rpartition(".")[2], status, response, request_id=request_id)


@asynccontextmanager
async def open_aioboto3(
    service: Service,
    credentials: CredentialsProvider,
    *,
    region: str,
    endpoint: str | None,
    timeout: float,  # noqa: ASYNC109 - limit of each request
    connections: int,
) -> AsyncIterator[Transport]:
    """Open a service through aioboto3. `credentials` are used only if they are static; aioboto3 finds all others."""
    key = credentials.key if isinstance(credentials, StaticCredentials) else None
    session = aioboto3.Session(
        aws_access_key_id=key and key.id, aws_secret_access_key=key and key.secret, aws_session_token=key and key.token
    )
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=timeout,
        max_pool_connections=connections,
        retries={"total_max_attempts": 1},
    )
    async with session.client(service.name, region_name=region, endpoint_url=endpoint, config=config) as client:
        yield Aioboto3Transport(service.name, client)
