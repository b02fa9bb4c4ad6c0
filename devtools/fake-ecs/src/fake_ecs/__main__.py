"""`python -m fake_ecs` serves the fake, logs `listening` with its port, and ends on SIGTERM or SIGINT."""

import argparse
import signal
import threading
from importlib.metadata import version

import structlog

from fake_ecs.running import running_ecs
from fake_ecs.seed import standard


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fake_ecs", description="A fake of Amazon ECS.")
    parser.add_argument("--version", action="version", version=f"fake-ecs {version('fake-ecs')}")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    parser.add_argument("--speed", type=float, default=60.0, help="at 60 a bake of ten minutes takes ten seconds")
    parser.add_argument("--environment", default="dev", help="the cluster's name, and which live tag tasks run")
    parser.add_argument("--bake-minutes", type=int, default=10)
    parser.add_argument("--pause-minutes", type=int, default=60)
    parser.add_argument("--cloudwatch", help="where the alarms are, if not here: an endpoint URL")
    options = parser.parse_args()
    structlog.configure(processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()])
    ended = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: ended.set())
    seed = standard(options.environment, bake_minutes=options.bake_minutes, pause_minutes=options.pause_minutes)
    elsewhere = {"cloudwatch": options.cloudwatch} if options.cloudwatch else {}
    with running_ecs(seed, port=options.port, speed=options.speed, elsewhere=elsewhere):
        ended.wait()


if __name__ == "__main__":
    main()
