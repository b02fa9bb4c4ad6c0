"""Set up the project's environments: `install ENVIRONMENT…`, `install-wheels PACKAGE…`, `check-locks`, `lock`."""

import argparse
import os
import signal
import sys
from pathlib import Path

MINIMUM = (3, 11)
EX_INTERRUPTED = 128 + signal.SIGINT
EX_TERMINATED = 128 + signal.SIGTERM
ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Run one command. A failure ends the process with a one-sentence message."""
    if sys.version_info < MINIMUM:
        sys.exit(f"Python 3.11 or newer is required; {sys.executable} is {sys.version}")
    from devtools.setup.locks import LockFailed  # noqa: PLC0415
    from devtools.setup.settings import BadSettings  # noqa: PLC0415
    from devtools.setup.uv import UvFailed  # noqa: PLC0415

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EX_TERMINATED))  # and with it, the running call of uv
    try:
        _run()
    except (BadSettings, LockFailed, UvFailed) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(EX_INTERRUPTED)


def _run() -> None:
    from devtools.setup.environments import PROJECTS, environments, install_wheels, packages, set_up  # noqa: PLC0415
    from devtools.setup.locks import renew  # noqa: PLC0415
    from devtools.setup.uv import Uv, find_uv, version_of  # noqa: PLC0415

    known = environments(ROOT)
    parser = argparse.ArgumentParser(prog="python -m devtools.setup", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    install = commands.add_parser("install", help="create the environments that are missing or out of date")
    install.add_argument("environments", nargs="+", choices=known)
    wheels = commands.add_parser(
        "install-wheels", help="build every package; install the named ones alone, into .local/alone"
    )
    wheels.add_argument("environments", nargs="+", choices=packages(ROOT))
    commands.add_parser("check-locks", help="fail if a lock file does not match its pyproject.toml")
    commands.add_parser("lock", help="upgrade the lock files to the newest versions; fail if a version would go down")
    options = parser.parse_args()

    path = find_uv(ROOT, os.environ)
    if options.command in ("install", "install-wheels"):
        uv, version = Uv(ROOT, path, os.environ), version_of(path)
        wanted = [known[name] for name in options.environments]
        for each in wanted:
            set_up(each, ROOT, uv, version)
        if options.command == "install-wheels":
            install_wheels(wanted, ROOT, uv)
        return
    uv = Uv(ROOT, path, os.environ, index=False)
    if options.command == "lock":
        renew(PROJECTS, ROOT, uv)
        return
    for project in PROJECTS:
        uv.run("lock", "--check", "--project", project)


if __name__ == "__main__":
    main()
