"""Addresses and URLs that webhooks may be sent to."""

from ipaddress import ip_address

import pytest

from order_shared.webhook_http.addresses import InvalidUrl, NotPublic, check_url, is_public

PUBLIC = [
    "93.184.216.34",
    "8.8.8.8",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]
NOT_PUBLIC = [
    "0.0.0.0",  # noqa: S104 - nothing listens on it
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",  # metadata
    "169.254.170.2",  # credentials of a task
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # compatible with IPv4
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::808:808",  # of a private network
    "100::1",
    "2001::1",
    "2001:0:53aa:64c:0:fffe:807f:fffe",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::1",  # 6to4
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # metadata
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "",
    "localhost",
    "127.1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert is_public(address)
    host = f"[{address}]" if ":" in address else address
    assert ip_address(check_url(f"https://{host}/hooks").host or "") == ip_address(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fd00:ec2::254]/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://017700000001/",
        "https://127.0.0.1./",
    ],
)
def test_an_address_in_a_url_must_be_public(url: str) -> None:
    with pytest.raises(NotPublic):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example.com",
        "http://shop.example.com/",
        "ftp://shop.example.com/",
        "//shop.example.com/",
        "https:///hooks",
        "https://",
        "https://shop.example.com:99999/",
        "https://shop.example.com:0/",
        "https://user@shop.example.com/",
        "https://user:word@shop.example.com/",
        "https://@shop.example.com/",
        "https://shop.example.com/#part",
        "https://shop.example.com/#",
        "https://shop.example.com/a b",
        "https://shop.example.com/\r\nHost: other",
        "https://grün.example.com/",
        "https://[::1/",
        "https://shop.example.com/" + "a" * 2048,
    ],
)
def test_urls_that_webhooks_cannot_be_sent_to(url: str) -> None:
    with pytest.raises(InvalidUrl):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    ["https://shop.example.com", "https://shop.example.com:8443/hooks?shop=1", "https://xn--grn-hoa.example.com/"],
)
def test_urls_of_public_names(url: str) -> None:
    assert check_url(url).scheme == "https"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/", "http://[::1]:9000/", "https://127.0.0.1/", "http://localhost/"]
)
def test_the_local_stack_has_receivers_on_this_machine(url: str) -> None:
    assert check_url(url, local_receivers=True).host
    with pytest.raises(InvalidUrl):
        check_url(url)


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "http://10.0.0.1/", "ftp://127.0.0.1/"])
def test_the_local_stack_has_no_receivers_elsewhere(url: str) -> None:
    with pytest.raises(InvalidUrl):
        check_url(url, local_receivers=True)
