"""An operator's desk: `orderctl` on the fake of ECS and the embedded AWS, with a clock that each look moves on."""

import functools
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from devstack.address import LOOPBACK
from devstack.ecs_stack import EMBEDDED, endpoints_of, variables
from devstack.emulator import start_emulator
from devstack.processes import ProcessGroup
from devstack.provision import create_queue, create_table
from fake_ecs.images import REVISION_LABEL, push_image
from fake_ecs.running import fake_session
from fake_ecs.seed import standard
from order_operations.deployments import fleet
from order_operations.deployments.ecr_repository import EcrRepository
from order_operations.deployments.fleet import Fleet
from order_operations.deployments.freeze import FreezeStore
from order_operations.deployments.guard import ServiceAccess, guarded
from order_operations.deployments.lock import Holder, Lock
from order_operations.deployments.service_ref import ServiceRef
from order_operations.deployments.traffic import Traffic
from order_shared.storage.audit_trail import DynamoAuditTrail
from order_shared.tables import OPERATIONS, Queue, order_changes, order_queue
from orderctl import terminal
from orderctl.commands.deployment import pace, running
from orderctl.deploy import context
from orderctl.deploy.smoke import RELEASE
from orderctl.main import app
from tests.ecs import SteppedEcs, green_url, stepped_ecs
from tests.integration.deploy_wire import Wire, session

SEED = int(os.environ.get("PYTEST_FAKE_SEED", "1"))
"""Of the empty pages and the late reads that every test of the tool meets."""

FIRST, SECOND = "sha-1a2b3c4", "sha-5d6e7f8"
API, PROCESSOR = "order-api", "order-processor"


class GreenSide:
    """What answers in place of a fleet's tasks; `wait`, if set, is waited for first."""

    def __init__(self, release: str = SECOND.removeprefix("sha-")) -> None:
        self.release = release
        self.is_ready = True
        self.unready = 0
        """Requests that are still answered with 503."""
        self.asked = 0
        self.wait: threading.Event | None = None
        self.url = ""

    @contextmanager
    def serve(self) -> Iterator[None]:
        green = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                green.asked += 1
                green.unready -= green.unready > 0
                if green.wait is not None:
                    green.wait.wait()
                self._answer(200)

            def do_PUT(self) -> None:
                self._answer(200)

            def do_POST(self) -> None:
                self._answer(202)

            def _answer(self, status: int) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                is_known = "Authorization" in self.headers
                is_ready = green.is_ready and not green.unready
                body = b'{"id": "ord_1"}' if is_known and is_ready else b""
                self.send_response(503 if not is_ready else status if is_known else 401)
                if is_known:
                    self.send_header(RELEASE, green.release)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

        with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
            self.url = f"http://{LOOPBACK}:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()


@dataclass
class Desk:
    """`ref` is the API's; `on_look` is done before each look at ECS."""

    ecs: SteppedEcs
    environment: dict[str, str]
    green: GreenSide
    ref: ServiceRef
    embedded: str
    wire: Wire = field(default_factory=Wire)
    on_look: Callable[[], None] = lambda: None
    waits: int = 0
    """How often the smoke test has waited for the listener."""

    def run(self, *words: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(app, list(words), input=answer, env=self.environment)

    def deploy(self, tag: str, *words: str, service: str = API, answer: str | None = None) -> Result:
        """By itself, with the test listener of the fake, behind which the green side answers."""
        answered = ("--auto", "--test-url", self.test_url) if answer is None else ("--test-url", self.test_url)
        return self.run(
            "deploy", service, "--env", self.ref.environment, "--tag", tag, *answered, *words, answer=answer
        )

    @property
    def test_url(self) -> str:
        """Where the fake's test listener answers, by the rule that the deployment moves."""
        return green_url(self.ecs, self.ref.environment)

    def verb(self, name: str, *words: str, service: str = API) -> Result:
        return self.run(name, service, "--env", self.ref.environment, *words)

    def status(self, service: str = API) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.verb("status", "--output", "json", service=service).stdout)
        return told

    def on_wait(self) -> None:
        self.waits += 1

    def look(self) -> None:
        self.on_look()
        self.ecs.skip()

    def finish(self) -> None:
        """Until no deployment is under way, with nobody at the desk."""
        while any(service.ongoing for service in self.ecs.engine.state.services.values()):
            assert self.ecs.skip(), "nothing is ever due, and a deployment is under way"

    def come_to_pause(self) -> None:
        ongoing = self.ecs.engine.state.services[self.ref.cluster, API].ongoing
        assert ongoing is not None
        while ongoing.awaiting is None:
            assert self.ecs.skip(), "nothing is ever due, and no pause has come"

    def stage(self, service: str = API) -> str:
        """Of the deployment that is under way."""
        deployment = self.ecs.engine.state.services[self.ref.cluster, service].ongoing
        return str(deployment.stage) if deployment is not None else ""

    def digest(self, tag: str, service: str = API) -> str | None:
        return EcrRepository(_client("ecr", self.ecs.address), service).digest_of(tag)

    def state(self, service: str = API) -> tuple[str | None, str | None]:
        """Digests: of the live tag, and of what runs, if that is one image."""
        ref = ServiceRef(environment=self.ref.environment, kind=service)
        with self.ecs.quiet():
            there = Fleet(_client("ecs", self.ecs.address), ref)
            revision = there.describe().current_revision
            return self.digest(ref.live_tag, service), there.digest_of(revision) if revision else None

    def access(self, service: str = API) -> ServiceAccess:
        """What another tool than orderctl has of the service, such as infra's apply."""
        ref = ServiceRef(environment=self.ref.environment, kind=service)
        repository = EcrRepository(_client("ecr", self.ecs.address), service)
        return ServiceAccess(
            fleet=Fleet(_client("ecs", self.ecs.address), ref, index_of=repository.index_of),
            repository=repository,
            traffic=Traffic(_client("elbv2", self.ecs.address)),
            freezes=FreezeStore(self.aws("dynamodb"), self.operations, ref),
        )

    def apply(self, service: str = API) -> None:
        """As Terraform applies a new task definition with the same tag, under the guard. Raises DeploymentError."""
        access = self.access(service)
        holder = Holder(id="an-apply", actor="terraform", what="apply")
        with guarded(access, Lock(self.aws("dynamodb"), self.operations, access.fleet.ref, holder)):
            self.change_task(service)

    def change_task(self, service: str = API) -> str:
        """Register a task definition and deploy it, with the same tag. Return its ARN."""
        ecs = _client("ecs", self.ecs.address)
        family = f"{self.ref.environment}-{service}"
        newest = max(
            (each for each in self.ecs.engine.state.task_definitions.values() if each.family == family),
            key=lambda each: each.revision,
        )
        new = ecs.register_task_definition(family=family, **newest.content)["taskDefinition"]["taskDefinitionArn"]
        ecs.update_service(cluster=self.ref.cluster, service=service, taskDefinition=new)
        return str(new)

    def push(self, commit: str, service: str = API) -> str:
        """Push another image as `sha-{commit}`, and return its digest."""
        labels = {REVISION_LABEL: commit}
        return push_image(_client("ecr", self.ecs.address), service, f"sha-{commit}", labels=labels)

    def come_to(self, stage: str, service: str = API) -> None:
        while self.stage(service) != stage:
            assert self.ecs.skip(), f"nothing is ever due, and the stage is {self.stage(service)}"

    def roll_back_unwatched(self, tag: str = SECOND, service: str = PROCESSOR) -> None:
        """Deploy an image that nobody follows, and that an alarm rolls back."""
        self.deploy(tag, "--no-wait", service=service)
        self.come_to("BAKE_TIME", service)
        self.ecs.set_alarm(f"{self.ref.environment}-failures", "ALARM")
        self.ecs.step(0)
        self.finish()
        self.ecs.set_alarm(f"{self.ref.environment}-failures", "OK")

    def started(self) -> int:
        """Return how often a verb called UpdateService."""
        return self.wire.calls.count(("ecs", "UpdateService"))

    def lock(self, what: str = "deploy something") -> Lock:
        """Of somebody else."""
        return Lock(self.aws("dynamodb"), self.operations, self.ref, Holder(id="another-run", actor="ada", what=what))

    def audit(self, service: str = API) -> list[tuple[str, str]]:
        """Verb and detail of each record, the oldest first."""
        ref = ServiceRef(environment=self.ref.environment, kind=service)
        return [(each.verb, each.detail) for each in self.trail().of(ref.subject)]

    def trail(self) -> DynamoAuditTrail:
        return DynamoAuditTrail(self.aws("dynamodb"), self.operations)

    def aws(self, service: str) -> Any:
        """A client of the embedded AWS."""
        return _client(service, self.embedded)

    @property
    def operations(self) -> str:
        return self.ref.table_prefix + OPERATIONS.name


class Ground:
    """What desks stand on: the embedded AWS, and for each environment a fake of ECS, as fresh for each desk as new."""

    def __init__(self, embedded: str, stack: ExitStack) -> None:
        self.embedded = embedded
        self._stack = stack
        self._fakes: dict[str, SteppedEcs] = {}

    def fake(self, environment: str = "dev") -> SteppedEcs:
        """Both services run their first image. Its clock is moved by hand, and stands at now."""
        if environment not in self._fakes:
            running = stepped_ecs(standard(environment), start=datetime.now(UTC))
            self._fakes[environment] = self._stack.enter_context(running)
        ecs = self._fakes[environment]
        ecs.reset()
        ecs.engine.faults.vary(SEED)
        ecs.clock.now = datetime.now(UTC)
        return ecs

    @contextmanager
    def desk(self, environment: str = "dev", *, ecs: SteppedEcs | None = None) -> Iterator[Desk]:
        """Both services run FIRST. Nobody has deployed anything yet, and no letter is dead."""
        ref, green, ecs = ServiceRef(environment=environment, kind=API), GreenSide(), ecs or self.fake(environment)
        empty_operations(self.embedded, ref.table_prefix)
        with green.serve(), pytest.MonkeyPatch.context() as monkeypatch:
            for name in ("ORDER_ACCOUNT_ID", "ORDER_SMOKE_TOKEN", "ORDER_DEPLOY_ENV"):
                monkeypatch.delenv(name, raising=False)
            desk = Desk(ecs, variables(endpoints_of(ecs.address, self.embedded)), green, ref, self.embedded)
            ecs.routing.serve(green.url)
            # Time is the fake's: with each look it comes to what is due next. And models are read once.
            monkeypatch.setattr(pace, "poll_sleep", desk.look)
            monkeypatch.setattr(fleet, "wait_until_described", lambda: None)
            monkeypatch.setattr(pace, "wait_for_listener", desk.on_wait)
            shared = session()
            monkeypatch.setattr(context, "make_session", lambda _: shared)
            with shared.tapped(desk.wire):
                yield desk


@contextmanager
def ground(logs: Path) -> Iterator[Ground]:
    with ProcessGroup(logs) as group, ExitStack() as stack:
        yield Ground(start_emulator(group, services=EMBEDDED)[1], stack)


def give_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody can be asked: Typer's runner has no terminal."""
    for module in (terminal, running):
        monkeypatch.setattr(module, "can_ask", lambda: True)


def empty_operations(endpoint: str, prefix: str) -> None:
    """Locks, audit records and dead letters of an environment."""
    _make_once(endpoint, prefix)
    dynamodb, sqs = (_client(service, endpoint) for service in ("dynamodb", "sqs"))
    table = prefix + OPERATIONS.name
    for item in dynamodb.scan(TableName=table)["Items"]:
        dynamodb.delete_item(TableName=table, Key={name: item[name] for name in ("subject", "at")})
    for queue in _queues(prefix):
        sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName=queue.dead_letter_name)["QueueUrl"])


@functools.cache
def _make_once(endpoint: str, prefix: str) -> None:
    create_table(_client("dynamodb", endpoint), OPERATIONS, prefix + OPERATIONS.name)
    for queue in _queues(prefix):
        create_queue(_client("sqs", endpoint), queue)


def _queues(prefix: str) -> tuple[Queue, ...]:
    """Return the queues of the workers."""
    return order_queue(prefix), order_changes(prefix).queue


@functools.cache
def _client(service: str, endpoint: str) -> Any:
    """Of ours, which no verb's calls are mixed with."""
    made: Any = fake_session()
    return made.client(service, endpoint_url=endpoint)
