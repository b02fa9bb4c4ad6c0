"""Addresses and URLs that webhooks may be sent to.

An address is public if it is in neither the private nor a special range of IANA's registries, and if it does not lead
to such an address inside IPv6 (mapped, NAT64). Tunnels (6to4, Teredo) are refused as a whole.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from yarl import URL

MAX_URL_LENGTH = 2048

# https://www.iana.org/assignments/iana-ipv4-special-registry, and multicast
_SPECIAL_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; metadata and credentials of AWS
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_UNICAST_6 = IPv6Network("2000::/3")
# https://www.iana.org/assignments/iana-ipv6-special-registry, within 2000::/3
_SPECIAL_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo among others
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
"""Prefix with which networks of IPv6 only reach addresses of IPv4 (RFC 6052)."""


class InvalidUrl(ValueError):
    """A URL that webhooks cannot be sent to. The message says what to change."""


class NotPublic(InvalidUrl):
    """A URL whose host is an address that is not public."""


def is_public(address: str) -> bool:
    """Return True for the text of a public address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and (found in _MAPPED or found in _NAT64):
        found = IPv4Address(int(found) & 0xFFFFFFFF)
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _SPECIAL_4)
    return found in _GLOBAL_UNICAST_6 and not any(found in network for network in _SPECIAL_6)


def is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def check_url(text: str, *, local_receivers: bool = False) -> URL:
    """Return the URL if webhooks may be sent to it. The addresses of a name are checked with each request.

    Raises InvalidUrl. With `local_receivers`, http and addresses of this machine are allowed too.
    """
    if len(text) > MAX_URL_LENGTH or not text.isascii() or not text.isprintable() or " " in text:
        raise InvalidUrl(f"must be at most {MAX_URL_LENGTH} printable characters of ASCII, without blanks")
    try:
        url = URL(text)
        host, port = url.host, url.port
    except ValueError:
        raise InvalidUrl("must be a URL such as https://shop.example.com/webhooks") from None
    if url.scheme not in (("https", "http") if local_receivers else ("https",)) or not host or not port:
        raise InvalidUrl("must begin with https:// and a host, such as https://shop.example.com/webhooks")
    if "@" in text.split("/")[2]:  # also without a name, which the parsed URL does not show
        raise InvalidUrl("must have no user name and no password; check the signature of a request instead")
    if "#" in text:
        raise InvalidUrl("must have no fragment; remove # and what follows")
    if _is_literal(host) and not is_allowed(host, local_receivers=local_receivers):
        raise NotPublic("must have a public address")
    return url


def is_allowed(address: str, *, local_receivers: bool) -> bool:
    """Return True if a request may connect to this address."""
    return is_public(address) or (local_receivers and is_loopback(address))


def _is_literal(host: str) -> bool:
    """Return True for an address. A last label that is a number makes an address too, as in `127.1` and `0x7f000001`.

    Such old forms are never public here: `is_public` knows the usual form only.
    """
    last = host.rstrip(".").rpartition(".")[2].lower()
    is_hexadecimal = last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:])
    return ":" in host or last.isdecimal() or is_hexadecimal
