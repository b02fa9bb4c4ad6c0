"""Proxy for a URL, by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY of the environment.

Libraries read these variables too, but send requests to this machine through the proxy unless NO_PROXY names it.
"""

import ipaddress
from collections.abc import MutableMapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")
"""Names of this machine in NO_PROXY: some libraries compare IPv6 addresses with brackets, others without."""


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy for a request; None for a direct one. This machine never has a proxy.

    Raises ValueError for a proxy that is not plain HTTP, such as a SOCKS proxy.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host):
        return None
    proxies = getproxies()
    name = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(name)
    if not proxy or proxy_bypass(host) or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if not _is_plain(proxy):
        raise ValueError(
            f"{name.upper()}_PROXY is not a proxy that can be used for {host}: set it to a URL such as "
            f"http://proxy.example.com:3128, or add {host} to NO_PROXY"
        )
    return proxy


def is_loopback(host: str) -> bool:
    """Return whether a host name or an IP address names this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified


def exempt_loopback(environ: MutableMapping[str, str]) -> None:
    """Add this machine to NO_PROXY, for libraries and child processes that read the variables themselves.

    ALL_PROXY becomes HTTP_PROXY and HTTPS_PROXY where they are not set: botocore reads only these.
    """
    everything = environ.get("all_proxy") or environ.get("ALL_PROXY") or ""
    for name in ("http_proxy", "https_proxy"):
        if _is_plain(everything) and not (environ.get(name) or environ.get(name.upper())):
            environ[name] = everything
    if any(environ.get(name) for each in ("http_proxy", "https_proxy", "all_proxy") for name in (each, each.upper())):
        given = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        names = [each for each in map(str.strip, given.split(",")) if each]
        joined = ",".join([*names, *(each for each in LOOPBACK if each not in names)])
        environ["no_proxy"] = environ["NO_PROXY"] = "*" if "*" in names else joined


def _is_plain(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
