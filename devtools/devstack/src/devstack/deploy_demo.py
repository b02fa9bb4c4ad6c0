"""Demonstration of deployments: run an operator's commands against a fake account and check the results.

Each command runs `orderctl` in its own process, as in a terminal.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from devstack.address import Handler, served
from devstack.demo import expect
from devstack.deploy_account import POLL_SECONDS, DeployAccount, open_account
from devstack.ecs_stack import ENVIRONMENT, running_ecs_stack
from devstack.processes import ProcessGroup
from devstack.stack import running_infrastructure, without_stack_variables
from fake_ecs.routing import listener_url
from fake_ecs.seed import TEST_PORT, api_host
from order_shared.naming import ORDER_API, ORDER_PROCESSOR

SPEED = 500.0
"""Time factor: a bake time of ten minutes takes 1.2 seconds."""
LOOK_SECONDS = "0.1"
COMMAND_SECONDS = 60.0

API, PROCESSOR = ORDER_API.name, ORDER_PROCESSOR.name
FIRST, GOOD, BAD, FAULTY, SICK = "sha-1a2b3c4", "sha-5d6e7f8", "sha-bad0000", "sha-fa17000", "sha-51c0000"
"""Image tags: the first image, a good one, one whose API returns 503, one that passes the test and fails under the
canary's traffic, and one whose tasks fail their health checks."""
ALARM = f"{ENVIRONMENT}-api-errors"
DONE, FAILED = 0, 1
"""Exit codes of `orderctl deploy`."""

Show = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Row of the result table."""

    what: str
    service: str
    image: str
    outcome: str
    runs: str
    """Tag of the image that runs at the end."""


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """Runner of orderctl commands. `announce` prints each command before it runs."""

    group: ProcessGroup
    environment: Mapping[str, str]
    account: DeployAccount
    announce: Show

    def deploy(self, what: str, service: str, image: str, *options: str, instead: str | None = None) -> Row:
        """Deploy an image; with `instead`, expect a rollback to that image. Raises DemoFailed if the result differs."""
        expected, outcome, runs = (FAILED, "rolled back", instead) if instead else (DONE, "deployed", image)
        code = self.run("deploy", service, "--env", ENVIRONMENT, "--tag", image, *options)
        expect(code == expected, f"the deployment of {image} exited with {code} instead of {expected}")
        wanted = self.account.digest(service, runs)
        live, running = self.account.digest(service, f"live-{ENVIRONMENT}"), self.account.running(service)
        expect(running == {wanted}, f"{service} runs {running} instead of {runs}, {wanted}")
        expect(live == wanted, f"the live tag of {service} is on {live} instead of {runs}, {wanted}")
        return Row(what=what, service=service, image=image, outcome=outcome, runs=runs)

    def status(self, service: str) -> None:
        code = self.run("status", service, "--env", ENVIRONMENT)
        expect(code == DONE, f"orderctl status {service} exited with {code}")

    def run(self, *words: str) -> int:
        self.announce(f"$ orderctl {' '.join(words)}")
        command = [sys.executable, "-m", "orderctl.main", *words]
        return self.group.run(command, self.environment, seconds=COMMAND_SECONDS).returncode


def run_deploy_demo(folder: Path, announce: Show) -> list[Row]:
    """Return the rows of the result table.

    Raises DemoFailed at the first failed check, and ChildFailed if a process exits.
    """
    announce("starting a fake of ECS, ECR and the load balancer, the embedded AWS, and an order API for the green side")
    with (
        running_infrastructure(folder / "api", {"ORDER_COMMIT": GOOD.removeprefix("sha-")}) as stack,
        running_ecs_stack(
            folder / "ecs", speed=SPEED, strategy="CANARY", never_start=(PROCESSOR,), embedded=stack.aws
        ) as ecs,
        open_account(ecs) as account,
        served(Unavailable) as broken,
    ):
        stack.start(ORDER_API)
        environment = {
            **without_stack_variables(stack.environment),
            **ecs.environment,
            "ORDER_DEPLOY_LOOK_SECONDS": LOOK_SECONDS,
            "ORDER_SMOKE_TOKEN": stack.issuer.token("smoke-test", "orderctl"),
        }
        account.serve(account.digest(API, GOOD), stack.api)
        account.serve(account.push(API, BAD), broken)
        account.serve(account.push(API, FAULTY), stack.api)
        account.sicken(account.push(PROCESSOR, SICK))
        terminal = Terminal(group=ecs.group, environment=environment, account=account, announce=announce)
        url = listener_url(ecs.ecs_address, port=TEST_PORT, host=api_host(ENVIRONMENT))
        rows = [*_worker_rows(terminal), *_api_rows(terminal, "--auto", "--test-url", url)]
        for service in (PROCESSOR, API):
            terminal.status(service)
        return rows


def _worker_rows(terminal: Terminal) -> list[Row]:
    """Repair a service whose first image never started, and deploy an image that starts and is unhealthy."""
    deadline = time.monotonic() + COMMAND_SECONDS
    while terminal.account.is_deploying(PROCESSOR):
        expect(time.monotonic() < deadline, f"the first deployment of {PROCESSOR} did not end")
        time.sleep(POLL_SECONDS)
    expect(not terminal.account.running(PROCESSOR), f"{PROCESSOR} runs, although its first image never starts")
    terminal.status(PROCESSOR)
    return [
        terminal.deploy("repair", PROCESSOR, GOOD),
        terminal.deploy("unhealthy", PROCESSOR, SICK, instead=GOOD),
    ]


def _api_rows(terminal: Terminal, *options: str) -> list[Row]:
    """Deploy a canary, an image that fails its test, and one whose alarm rings while it has a part of the traffic."""
    # Without a token the test does not ask which release responds: one API serves both images.
    anonymous = replace(terminal, environment={**terminal.environment, "ORDER_SMOKE_TOKEN": ""})
    rows = [
        terminal.deploy("canary", API, GOOD, *options),
        terminal.deploy("bad image", API, BAD, *options, instead=GOOD),
    ]
    with terminal.account.alarm_during_canary(API, ALARM):
        rows.append(anonymous.deploy("alarm", API, FAULTY, *options, instead=GOOD))
    return rows


class Unavailable(Handler):
    """Green side of a bad image: it responds to every GET with 503."""

    def do_GET(self) -> None:  # noqa: N802 - name in the base class
        body = b'{"title": "Temporarily unavailable", "detail": "the table orders cannot be reached"}'
        self.respond(503, body, "application/problem+json")
