"""Import every module of a package in an environment with its declared dependencies only.

Also check that imports have no effect: they read no environment variable and open no connection.
"""

import importlib
import os
import pkgutil
import socket
import sys
from typing import Never

OURS = ("AWS_", "ORDER_")
OF_AN_EXTRA = {
    "order_shared.aws.aioboto3_transport",
    "order_shared.webhook_http.challenge",
    "order_shared.webhook_http.resolver",
    "order_shared.webhook_http.sender",
}
OF_BOTOCORE = "AWS_NEW_RETRIES_2026"
"""botocore reads this variable at its import; our client has its own retries."""


class _Watched(dict[str, str]):
    """Environment that refuses reads of the platform's settings."""

    def __getitem__(self, name: str) -> str:
        if name.startswith(OURS) and name != OF_BOTOCORE:
            raise AssertionError(f"{name} was read at import")
        return super().__getitem__(name)

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # as Mapping's
        return self[name] if name in self else default  # noqa: SIM401 - through the check above

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str) and name.startswith(OURS) and name != OF_BOTOCORE:
            raise AssertionError(f"{name} was looked for at import")
        return super().__contains__(name)


def _no_connection(*_: object) -> Never:
    raise AssertionError("a connection was made at import")


def main(package: str) -> None:
    os.environ = _Watched(os.environ)  # type: ignore[assignment]  # noqa: B003 - a stand-in, for this process only
    socket.socket.connect = _no_connection  # type: ignore[method-assign]  # for this process only
    root = importlib.import_module(package)
    names = [module.name for module in pkgutil.walk_packages(root.__path__, f"{package}.")]
    for name in names:
        if not name.endswith("__main__") and name not in OF_AN_EXTRA:
            importlib.import_module(name)
    print(f"{package}: {len(names)} modules import alone")  # noqa: T201 - a command's output


if __name__ == "__main__":
    main(sys.argv[1])
