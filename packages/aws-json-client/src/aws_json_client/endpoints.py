"""Services that are known, and the addresses where they answer."""

from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from botocore.exceptions import InvalidConfigError, NoRegionError, ProfileNotFound
from botocore.loaders import create_loader
from botocore.regions import EndpointResolver
from botocore.session import Session


@dataclass(frozen=True, kw_only=True)
class Service:
    """An AWS service that speaks the JSON protocol at the path `/`.

    `name` stands in its host and in signatures, `target_prefix` before each operation. Both are in botocore's models
    as `endpointPrefix` and `targetPrefix`.
    """

    name: str
    target_prefix: str


DYNAMODB = Service(name="dynamodb", target_prefix="DynamoDB_20120810")
SQS = Service(name="sqs", target_prefix="AmazonSQS")


@dataclass(frozen=True, kw_only=True)
class Address:
    """The address of a service. `host` is the header's value: without a port where it is the scheme's own."""

    hostname: str
    port: int
    tls: bool

    @property
    def host(self) -> str:
        name = f"[{self.hostname}]" if ":" in self.hostname else self.hostname
        return name if self.port == (443 if self.tls else 80) else f"{name}:{self.port}"


def resolve(service: Service, region: str, endpoint: str | None) -> Address:
    """Return the address of the endpoint if one is given, otherwise the one that botocore knows for the region.

    `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT`, or the same settings in a profile, choose the variant.
    Raises ValueError for an unknown region or profile, and for an endpoint that is more than a scheme, a host and a
    port.
    """
    if endpoint is None:
        return _resolve(service, region)
    fault = ValueError(f"the endpoint of {service.name} is a scheme, a host and a port, and nothing more")
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
        raise ValueError(f"AWS has no region {region} that botocore knows")
    return Address(hostname=found["hostname"], port=443, tls=True)


@cache  # the file has a megabyte, and each connection pool asks
def _resolver() -> EndpointResolver:
    return EndpointResolver(create_loader().load_data("endpoints"))
