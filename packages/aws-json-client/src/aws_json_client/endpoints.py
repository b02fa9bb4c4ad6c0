"""AWS services and their addresses."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import InvalidConfigError, NoRegionError, ProfileNotFound

if TYPE_CHECKING:
    from botocore.regions import EndpointResolver


@dataclass(frozen=True, kw_only=True)
class Service:
    """An AWS service with the JSON protocol at the path `/`.

    `name` is part of the host name and of signatures. `target_prefix` precedes the operation in the header
    `X-Amz-Target`. In botocore's models they are called `endpointPrefix` and `targetPrefix`.
    """

    name: str
    target_prefix: str


DYNAMODB = Service(name="dynamodb", target_prefix="DynamoDB_20120810")
SQS = Service(name="sqs", target_prefix="AmazonSQS")


@dataclass(frozen=True, kw_only=True)
class Address:
    """Address of a service. `host` is the value of the `Host` header, without the scheme's default port."""

    hostname: str
    port: int
    tls: bool

    @property
    def host(self) -> str:
        name = f"[{self.hostname}]" if ":" in self.hostname else self.hostname
        return name if self.port == (443 if self.tls else 80) else f"{name}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}"


def resolve(service: Service, region: str, endpoint: str | None) -> Address:
    """Return the address of `endpoint` if given, otherwise botocore's address for the region.

    `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT`, or the same settings in a profile, select the variant.
    Raises ValueError for an unknown region or profile, and for an endpoint with more than a scheme, a host and a port.
    """
    if endpoint is None:
        return _resolve(service, region)
    fault = ValueError(f"the endpoint of {service.name} must have a scheme, a host and an optional port, nothing else")
    try:
        url = urlsplit(endpoint)
        port = url.port
    except ValueError:
        raise fault from None
    is_bare = url.path in ("", "/") and not (url.query or url.fragment or "@" in url.netloc)
    if url.scheme not in ("http", "https") or not url.hostname or not is_bare:
        raise fault
    tls = url.scheme == "https"
    return Address(hostname=url.hostname, port=port or (443 if tls else 80), tls=tls)


def _resolve(service: Service, region: str) -> Address:
    from botocore.session import Session  # noqa: PLC0415 - its import takes long

    session = Session()
    try:
        found = _resolver().construct_endpoint(
            service.name,
            region,
            use_fips_endpoint=bool(session.get_config_variable("use_fips_endpoint")),
            use_dualstack_endpoint=bool(session.get_config_variable("use_dualstack_endpoint")),
        )
    except (ProfileNotFound, InvalidConfigError, NoRegionError) as error:
        raise ValueError(str(error)) from error
    if found is None:
        raise ValueError(f"unknown AWS region {region}")
    return Address(hostname=found["hostname"], port=443, tls=True)


@cache  # the file is 1 MB, and every connection pool needs it
def _resolver() -> "EndpointResolver":
    from botocore.loaders import create_loader  # noqa: PLC0415 - its import takes long
    from botocore.regions import EndpointResolver  # noqa: PLC0415 - its import takes long

    return EndpointResolver(create_loader().load_data("endpoints"))
