"""The demonstration of deployments: what an operator types, on an account that is a fake, and what came of it.

Every command is a process of its own, as in a terminal: it is `orderctl` itself that is shown.
"""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2

from devstack.demo import expect
from devstack.ecs_stack import ENVIRONMENT, EcsStack, running_ecs_stack
from devstack.emulator import HOST
from devstack.stack import running_infrastructure
from fake_ecs.images import REVISION_LABEL, push_image
from fake_ecs.routing import listener_url
from fake_ecs.running import fake_session
from fake_ecs.seed import TEST_PORT, api_host
from fake_ecs.server import ADMIN

SPEED = 400.0
"""A bake of ten minutes takes a second and a half."""
LOOK_SECONDS = "0.1"
COMMAND_SECONDS = 60.0

API, PROCESSOR = "order-api", "order-processor"
FIRST, GOOD, BAD = "sha-1a2b3c4", "sha-5d6e7f8", "sha-bad0000"
"""Tags of images: what runs at the start, a good one, and one whose API answers 503."""
DONE, FAILED = 0, 1
"""Exit codes of `orderctl deploy`."""

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the closing table."""

    what: str
    service: str
    image: str
    outcome: str
    runs: str
    """The image, by its tag."""


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """Where commands are typed. `tell` shows each of them before it is run, `show` what it has answered."""

    environment: Mapping[str, str]
    tell: Tell
    show: Tell

    def run(self, *words: str) -> int:
        """Its output goes where ours goes; its exit code."""
        self.tell(f"$ orderctl {' '.join(words)}")
        return subprocess.run(_command(words), env=self.environment, timeout=COMMAND_SECONDS, check=False).returncode

    def read(self, *words: str) -> dict[str, str]:
        """The rows that it answers, by their names; they are shown too. Raises DemoFailed unless it ends well."""
        self.tell(f"$ orderctl {' '.join(words)}")
        ended = subprocess.run(
            _command(words), env=self.environment, timeout=COMMAND_SECONDS, check=False, stdout=subprocess.PIPE
        )
        rows = ended.stdout.decode().splitlines()
        self.show("\n".join(rows))
        expect(ended.returncode == DONE, f"orderctl {' '.join(words)} ended with {ended.returncode}")
        return {name: value for name, _, value in (row.strip().partition(" ") for row in rows)}


@dataclass(frozen=True)
class Demonstration:
    terminal: Terminal
    tags: Mapping[str, str]
    """Of images, by their digests."""

    def deploys(self, what: str, service: str, image: str, *how: str) -> Row:
        """To its good end, after which it is what runs. Raises DemoFailed."""
        code = self.terminal.run("deploy", service, "--env", ENVIRONMENT, "--tag", image, *how)
        expect(code == DONE, f"the deployment of {image} ended with {code} instead of {DONE}")
        return Row(what=what, service=service, image=image, outcome="deployed", runs=self._running(service, image))

    def turns_down(self, what: str, service: str, image: str, before: str, *how: str) -> Row:
        """Rolls it back, after which runs what ran before. Raises DemoFailed."""
        code = self.terminal.run("deploy", service, "--env", ENVIRONMENT, "--tag", image, *how)
        expect(code == FAILED, f"the deployment of {image} ended with {code} instead of {FAILED}")
        return Row(what=what, service=service, image=image, outcome="rolled back", runs=self._running(service, before))

    def _running(self, service: str, expected: str) -> str:
        """The tag of the image that runs, which is also what the live tag means."""
        state = self.terminal.read("status", service, "--env", ENVIRONMENT)
        running, live = (self.tags.get(state[name].strip()) for name in ("running", f"live-{ENVIRONMENT}"))
        expect((running, live) == (expected, expected), f"{service} runs {running} and its tag means {live}")
        return expected


def run_deploy_demo(folder: Path, tell: Tell, show: Tell) -> list[Row]:
    """The closing table's rows. Raises DemoFailed at the first thing that is not as it should be, and ChildFailed."""
    tell("starting a fake of ECS, ECR and the load balancer, the embedded AWS, and an order API as the green side")
    with (
        running_ecs_stack(folder / "ecs", speed=SPEED) as account,
        running_infrastructure(folder / "api", {"ORDER_COMMIT": GOOD.removeprefix("sha-")}) as stack,
        _unavailable() as broken,
    ):
        stack.start_api()
        token = stack.issuer.token("smoke-test", "orderctl")
        environment = {
            **{name: value for name, value in stack.environment.items() if not name.startswith(("AWS_", "ORDER_"))},
            **account.environment,
            "ORDER_DEPLOY_LOOK_SECONDS": LOOK_SECONDS,
            "ORDER_SMOKE_TOKEN": token,
        }
        tags = _tags(account)
        _serve(account, {GOOD: stack.api, BAD: broken}, tags)
        url = listener_url(account.ecs_address, port=TEST_PORT, host=api_host(ENVIRONMENT))
        demonstration = Demonstration(Terminal(environment=environment, tell=tell, show=show), tags)
        return [
            demonstration.deploys("good", API, GOOD, "--auto", "--test-url", url),
            demonstration.turns_down("unavailable", API, BAD, GOOD, "--auto", "--test-url", url),
            demonstration.deploys("a worker", PROCESSOR, GOOD),
        ]


def _command(words: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "orderctl.main", *words]


def _tags(account: EcsStack) -> dict[str, str]:
    """Of the images in both repositories, by digest; the bad one is pushed first."""
    session: Any = fake_session()  # whose stubs take literal names only
    ecr = session.client("ecr", endpoint_url=account.endpoints["ecr"])
    with contextlib.closing(ecr):
        push_image(ecr, API, BAD, labels={REVISION_LABEL: BAD.removeprefix("sha-")})
        found = [
            image
            for repository in (API, PROCESSOR)
            for image in ecr.describe_images(repositoryName=repository)["imageDetails"]
        ]
    return {
        image["imageDigest"]: tag for image in found for tag in image.get("imageTags", ()) if tag in {FIRST, GOOD, BAD}
    }


def _serve(account: EcsStack, urls: Mapping[str, str], tags: Mapping[str, str]) -> None:
    """Lets an address answer in place of the tasks of each image; `urls` by tag, `tags` by digest."""
    for digest, tag in tags.items():
        if tag in urls:
            arguments = {"url": urls[tag], "digest": digest}
            httpx2.post(f"{account.ecs_address}{ADMIN}serve", json=arguments).raise_for_status()


@contextlib.contextmanager
def _unavailable() -> Iterator[str]:
    """The green side of a bad image: it answers 503 to everything. Its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"title": "Temporarily unavailable", "detail": "the table orders cannot be reached"}'
            self.send_response(503)
            self.send_header("Content-Type", "application/problem+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
