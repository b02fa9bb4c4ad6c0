"""The region that writes: uniqueness and transactions do not cross regions, so one region takes all writes."""

from order_shared.domain.errors import PlatformError


class NotHomeRegion(PlatformError):
    """This region only reads; `home_region` names the one that writes."""

    def __init__(self, home_region: str) -> None:
        super().__init__(f"this region only reads; send the request to the home region {home_region}")
        self.home_region = home_region
