"""Embedded AWS: ministack, installed in its own environment.

`python -m devstack.emulator --port 4566` replaces itself with ministack.
"""

import contextlib
import os
import shutil
import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import structlog

from devstack.address import LOOPBACK, part_options
from devstack.probe import is_ready
from devstack.processes import READY_SECONDS, Child, ChildFailed, ProcessGroup
from order_shared.runtime.logging import configure_logging
from order_shared.runtime.program import begin
from order_shared.runtime.sockets import bind

log = structlog.get_logger(__name__)

RETRIES = 2
DEFAULT_SERVICES = ("dynamodb", "dynamodbstreams", "pipes", "sns", "sqs", "sts")
REQUIREMENT = "ministack==1.5.33"
IN_CHECKOUT = Path(__file__).parents[2] / "emulator" / ".venv" / "bin"
"""Folder into which `make setup` installs ministack."""


class EmulatorMissing(Exception):
    def __init__(self) -> None:
        super().__init__(
            "the embedded AWS is not installed. In a checkout run `make setup`. Otherwise install ministack in "
            f"its own environment and put it on the PATH: pipx install {REQUIREMENT}"
        )


def find_emulator() -> str:
    """Return the path of ministack. Raises EmulatorMissing."""
    found = shutil.which("ministack", path=f"{IN_CHECKOUT}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise EmulatorMissing
    return found


def start_emulator(
    group: ProcessGroup, port: int = 0, *, services: Sequence[str] = DEFAULT_SERVICES, data: Path | None = None
) -> tuple[Child, str]:
    """Start the emulator; return its process and endpoint. Port 0 selects a free port.

    Its data is kept in the folder `data`, if it is given. Raises ChildFailed, EmulatorMissing.
    """
    for _ in range(RETRIES if port == 0 else 0):
        with contextlib.suppress(ChildFailed):  # another process may have taken the port
            return _start_on(_free_port(), group, services, data)
    return _start_on(port or _free_port(), group, services, data)


def _start_on(port: int, group: ProcessGroup, services: Sequence[str], data: Path | None) -> tuple[Child, str]:
    child = group.start("emulator", [find_emulator()], _environment(LOOPBACK, port, services, data))
    endpoint = f"http://{LOOPBACK}:{port}"
    child.wait_until(partial(is_ready, readiness_url(endpoint)), "ready", READY_SECONDS)
    return child, endpoint


def readiness_url(endpoint: str) -> str:
    return f"{endpoint}/_ministack/ready"


def _environment(host: str, port: int, services: Sequence[str], data: Path | None) -> dict[str, str]:
    """Return the environment variables of the emulator.

    Of the variables of this process only PATH and HOME are kept, because others may refer to real AWS.
    """
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": os.environ.get("HOME", ""),
        "BIND_HOST": host,
        "GATEWAY_PORT": str(port),
        "SERVICES": ",".join(services),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        **({} if data is None else {"PERSIST_STATE": "1", "STATE_DIR": str(data.absolute())}),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def main() -> None:
    begin("devstack")
    parser = part_options("Run the embedded AWS.")
    parser.add_argument("--data", type=Path, help="folder in which its data is saved when it is asked to end")
    options = parser.parse_args()
    try:
        program = find_emulator()
    except EmulatorMissing as error:
        sys.exit(str(error))
    bind(options.host, options.port).close()  # ends the process if another one has the port
    port = options.port or _free_port()
    configure_logging("INFO")
    log.info("starting", host=options.host, port=port)
    environment = _environment(options.host, port, DEFAULT_SERVICES, options.data)
    os.execve(program, [program], environment)  # noqa: S606 - the path comes from find_emulator


if __name__ == "__main__":
    main()
