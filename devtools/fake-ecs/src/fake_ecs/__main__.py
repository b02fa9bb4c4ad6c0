"""Entry point: `python -m fake_ecs` serves the fake and logs `listening` with its port, until SIGTERM or SIGINT."""

import argparse
import signal
import threading
from importlib.metadata import version

import structlog

from fake_ecs.model import Strategy
from fake_ecs.running import running_ecs
from fake_ecs.seed import standard


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fake_ecs", description="Serve a fake of Amazon ECS.")
    parser.add_argument("--version", action="version", version=f"fake-ecs {version('fake-ecs')}")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--speed", type=float, default=60.0, help="time factor: at 60 ten minutes take ten seconds")
    parser.add_argument("--environment", default="dev", help="cluster name; tasks run images tagged live-NAME")
    parser.add_argument("--bake-minutes", type=int, help="by default as infra sets it")
    parser.add_argument("--pause-minutes", type=int, help="by default as infra sets it")
    parser.add_argument(
        "--strategy",
        choices=[each.value for each in Strategy if each.value != "ROLLING"],
        help="of a service with traffic",
    )
    parser.add_argument(
        "--never-starts",
        action="append",
        default=[],
        metavar="SERVICE",
        help="a service that was just created, and whose first image never starts",
    )
    parser.add_argument("--cloudwatch", help="endpoint URL of the CloudWatch with the alarms, if not this fake")
    options = parser.parse_args()
    structlog.configure(processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()])
    ended = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: ended.set())
    seed = standard(
        options.environment,
        bake_minutes=options.bake_minutes,
        pause_minutes=options.pause_minutes,
        strategy=Strategy(options.strategy) if options.strategy else None,
        never_start=options.never_starts,
    )
    elsewhere = {"cloudwatch": options.cloudwatch} if options.cloudwatch else {}
    with running_ecs(seed, port=options.port, speed=options.speed, elsewhere=elsewhere):
        ended.wait()


if __name__ == "__main__":
    main()
