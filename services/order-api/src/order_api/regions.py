"""Home region: the region that takes all writes, because uniqueness and transactions do not span regions."""

from order_shared.domain.errors import PlatformError


class NotHomeRegion(PlatformError):
    """Write sent to a read-only region. `home_region` is the region that takes writes."""

    def __init__(self, home_region: str) -> None:
        super().__init__(f"this region is read-only; send the request to the home region {home_region}")
        self.home_region = home_region
