"""Demonstration of deployments: run an operator's commands against a fake account and check the results.

Each command runs `orderctl` in its own process, as in a terminal.
"""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2

from aws_json_client.proxies import proxy_for
from devstack.address import Handler, served
from devstack.demo import expect
from devstack.ecs_stack import ENVIRONMENT, EcsStack, running_ecs_stack
from devstack.processes import ProcessGroup
from devstack.stack import running_infrastructure, without_stack_variables
from fake_ecs.images import REVISION_LABEL, push_image
from fake_ecs.model import FULL
from fake_ecs.routing import listener_url
from fake_ecs.running import fake_session
from fake_ecs.seed import TEST_PORT, api_host
from fake_ecs.server import ADMIN
from order_shared.naming import ORDER_API, ORDER_PROCESSOR

SPEED = 400.0
"""Time factor: a bake time of ten minutes takes 1.5 seconds."""
LOOK_SECONDS = "0.1"
COMMAND_SECONDS = 60.0

API, PROCESSOR = ORDER_API.name, ORDER_PROCESSOR.name
FIRST, GOOD, BAD, FAULTY = "sha-1a2b3c4", "sha-5d6e7f8", "sha-bad0000", "sha-fa17000"
"""Image tags: the image that runs at the start, a good one, one whose API returns 503, and one that passes the test and
fails under the canary's traffic."""
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
    """Runner of orderctl commands.

    `announce` prints each command before it runs. `show` prints the output of `status`; other commands print their own.
    """

    group: ProcessGroup
    environment: Mapping[str, str]
    tags: Mapping[str, str]
    """Image tags by digest."""
    announce: Show
    show: Show

    def deploy(self, what: str, service: str, image: str, *options: str, instead: str | None = None) -> Row:
        """Deploy an image; with `instead`, expect a rollback to that image. Raises DemoFailed if the result differs."""
        expected, outcome, runs = (FAILED, "rolled back", instead) if instead else (DONE, "deployed", image)
        code = self._run("deploy", service, "--env", ENVIRONMENT, "--tag", image, *options).returncode
        expect(code == expected, f"the deployment of {image} exited with {code} instead of {expected}")
        self._expect_running(service, runs)
        return Row(what=what, service=service, image=image, outcome=outcome, runs=runs)

    def _expect_running(self, service: str, image: str) -> None:
        """Check that the image runs and has the live tag."""
        ended = self._run("status", service, "--env", ENVIRONMENT, stdout=subprocess.PIPE)
        lines = ended.stdout.decode().splitlines()
        self.show("\n".join(lines))
        expect(ended.returncode == DONE, f"orderctl status {service} exited with {ended.returncode}")
        state = {name: value.strip() for name, _, value in (line.strip().partition(" ") for line in lines)}
        running, live = (self.tags.get(state[name]) for name in ("running", f"live-{ENVIRONMENT}"))
        expect((running, live) == (image, image), f"{service} runs {running}, and its live tag is on {live}")

    def _run(self, *words: str, stdout: int | None = None) -> subprocess.CompletedProcess[bytes]:
        self.announce(f"$ orderctl {' '.join(words)}")
        command = [sys.executable, "-m", "orderctl.main", *words]
        return self.group.run(command, self.environment, seconds=COMMAND_SECONDS, stdout=stdout)


def run_deploy_demo(folder: Path, announce: Show, show: Show) -> list[Row]:
    """Return the rows of the result table.

    Raises DemoFailed at the first failed check, and ChildFailed if a process exits.
    """
    announce("starting a fake of ECS, ECR and the load balancer, the embedded AWS, and an order API for the green side")
    with (
        running_infrastructure(folder / "api", {"ORDER_COMMIT": GOOD.removeprefix("sha-")}) as stack,
        running_ecs_stack(folder / "ecs", speed=SPEED, strategy="CANARY", embedded=stack.aws) as account,
        served(Unavailable) as broken,
    ):
        stack.start(ORDER_API)
        environment = {
            **without_stack_variables(stack.environment),
            **account.environment,
            "ORDER_DEPLOY_LOOK_SECONDS": LOOK_SECONDS,
            "ORDER_SMOKE_TOKEN": stack.issuer.token("smoke-test", "orderctl"),
        }
        tags = _tags(account)
        _serve(account, {GOOD: stack.api, BAD: broken, FAULTY: stack.api}, tags)
        url = listener_url(account.ecs_address, port=TEST_PORT, host=api_host(ENVIRONMENT))
        terminal = Terminal(group=account.group, environment=environment, tags=tags, announce=announce, show=show)
        # Without a token the test does not ask which release responds: one API serves both images.
        anonymous = replace(terminal, environment={**environment, "ORDER_SMOKE_TOKEN": ""})
        rows = [
            terminal.deploy("canary", API, GOOD, "--auto", "--test-url", url),
            terminal.deploy("bad image", API, BAD, "--auto", "--test-url", url, instead=GOOD),
        ]
        with _alarm_during_canary(account):
            rows.append(anonymous.deploy("alarm", API, FAULTY, "--auto", "--test-url", url, instead=GOOD))
        return [*rows, terminal.deploy("worker", PROCESSOR, GOOD)]


class Unavailable(Handler):
    """Green side of a bad image: it responds to every GET with 503."""

    def do_GET(self) -> None:  # noqa: N802 - name in the base class
        body = b'{"title": "Temporarily unavailable", "detail": "the table orders cannot be reached"}'
        self.respond(503, body, "application/problem+json")


@contextlib.contextmanager
def _alarm_during_canary(account: EcsStack) -> Iterator[None]:
    """Set the alarm to ALARM when green has a part of the traffic, and to OK at the end of the block."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(float(LOOK_SECONDS)):
            if 0 < _green_share(account) < FULL:
                _set_alarm(account, "ALARM")
                return

    thread = threading.Thread(target=watch, name="canary")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        _set_alarm(account, "OK")


def _green_share(account: EcsStack) -> float:
    """Return the percentage of the production traffic that green has; 0 without a deployment."""
    session: Any = fake_session()
    with contextlib.closing(session.client("ecs", endpoint_url=account.ecs_address)) as ecs:
        (service,) = ecs.describe_services(cluster=ENVIRONMENT, services=[API])["services"]
        if "currentServiceDeployment" not in service:
            return 0.0
        arns = [service["currentServiceDeployment"]]
        (deployment,) = ecs.describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"]
        return float(deployment["targetServiceRevision"]["requestedProductionTrafficWeight"])


def _set_alarm(account: EcsStack, state: str) -> None:
    _control(account, "alarm", {"name": ALARM, "state": state})


def _tags(account: EcsStack) -> dict[str, str]:
    """Return the tags of the images in both repositories, by digest. The bad images are pushed first."""
    session: Any = fake_session()  # its stubs accept literal names only
    ecr = session.client("ecr", endpoint_url=account.endpoints["ecr"])
    with contextlib.closing(ecr):
        for tag in (BAD, FAULTY):
            push_image(ecr, API, tag, labels={REVISION_LABEL: tag.removeprefix("sha-")})
        found = [
            image
            for repository in (API, PROCESSOR)
            for image in ecr.describe_images(repositoryName=repository)["imageDetails"]
        ]
    return {
        image["imageDigest"]: tag
        for image in found
        for tag in image.get("imageTags", ())
        if tag in {FIRST, GOOD, BAD, FAULTY}
    }


def _serve(account: EcsStack, urls: Mapping[str, str], tags: Mapping[str, str]) -> None:
    """Set the address that serves in place of each image's tasks. `urls` are by tag, `tags` by digest."""
    for digest, tag in tags.items():
        if tag in urls:
            _control(account, "serve", {"url": urls[tag], "digest": digest})


def _control(account: EcsStack, action: str, arguments: Mapping[str, str]) -> None:
    """Call an action of the fake that AWS does not have. Raises httpx2.HTTPStatusError."""
    route = httpx2.HTTPTransport(proxy=proxy_for(account.ecs_address))
    with httpx2.Client(base_url=account.ecs_address, transport=route) as http:
        http.post(f"{ADMIN}{action}", json=arguments).raise_for_status()
