"""Run the whole fake in this process, in its own threads."""

import functools
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.session
import structlog
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import ServiceModel

from fake_ecs.alarms import Alarms
from fake_ecs.api import EcsApi
from fake_ecs.arns import Arns
from fake_ecs.balancer import Balancer
from fake_ecs.cloud import AwsCloud
from fake_ecs.engine import Engine
from fake_ecs.faults import NOT_STARTED, READS
from fake_ecs.gateway import Gateway
from fake_ecs.registry import Registry
from fake_ecs.routing import Routing
from fake_ecs.seed import Seed, create_resources, standard
from fake_ecs.server import BLOBS, Server
from fake_ecs.timing import Clock, Timing, utc_now

log = structlog.get_logger(__name__)

HOST = "127.0.0.1"
REGION = "eu-central-1"
KEY = "local"
"""Access key and secret. The fake accepts any."""

ACCOUNT = "000000000000"
"""Account id, equal to that of the embedded AWS."""

SERVED = ("ecs", "ecr", "elbv2", "cloudwatch")
"""Services of the fake, by botocore's names."""

TICK_SECONDS = 0.05


@functools.cache
def fake_session() -> boto3.Session:
    """Return the boto3 session of all clients of the fake, which set `endpoint_url`. Creating it takes 0.5 s."""
    return boto3.Session(KEY, KEY, region_name=REGION)


@functools.cache
def _model(service: str) -> ServiceModel:
    return botocore.session.Session().get_service_model(service)


def _client(service: str, endpoint: str) -> Any:
    session: Any = fake_session()  # its stubs accept literal names only
    return session.client(service, endpoint_url=endpoint)


@dataclass(frozen=True)
class Ecs:
    """Running fake. `POST /_ecs/{name}` calls the functions of `admin`, with the JSON body as keyword arguments."""

    address: str
    endpoints: Mapping[str, str]
    """Endpoint URLs by botocore's service name."""
    engine: Engine
    cloud: AwsCloud
    registry: Registry
    routing: Routing
    parts: tuple[object, ...]
    """Objects that contain the state of the account."""

    def client(self, service: str) -> Any:
        """Return a boto3 client of a service. The caller must close it."""
        return _client(service, self.endpoints[service])

    def lag(self, calls: int, operations: Iterable[str] = READS) -> None:
        with self.engine.lock:
            self.engine.faults.lag(calls, operations)

    def break_image(self, digest: str, reason: str = NOT_STARTED) -> None:
        self.engine.faults.broken[digest] = reason

    def sicken_image(self, digest: str, reason: str = "Task failed container health checks") -> None:
        """Let tasks of the image start and fail their health checks."""
        self.engine.faults.unhealthy[digest] = reason

    def mend_image(self, digest: str) -> None:
        self.engine.faults.broken.pop(digest, None)
        self.engine.faults.unhealthy.pop(digest, None)

    def set_alarm(self, name: str, state: str) -> None:
        self.cloud.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="set by hand")

    @property
    def admin(self) -> dict[str, Any]:
        return {
            "alarm": self.set_alarm,
            "break-image": self.break_image,
            "expire": self.registry.expire,
            "fail": self.engine.faults.fail,
            "findings": self.registry.set_findings,
            "lag": self.lag,
            "lose-answers": self.engine.faults.lose_answers,
            "mend-image": self.mend_image,
            "serve": self.routing.serve,
            "sicken-image": self.sicken_image,
            "throttle": self.engine.faults.throttle,
            "vary": self.engine.faults.vary,
        }


@contextmanager
def running_ecs(
    seed: Seed | None = None,
    *,
    port: int = 0,
    speed: float = 1.0,
    clock: Clock = utc_now,
    ticking: bool = True,
    elsewhere: Mapping[str, str] | None = None,
) -> Iterator[Ecs]:
    """Serve the fake while the block runs. Without `ticking`, the state advances only by calls of `engine.tick`.

    `elsewhere` maps `ecr`, `elbv2` or `cloudwatch` to an endpoint that ECS uses instead of this fake.
    """
    with socket.create_server((HOST, port)) as listener:
        address = f"http://{HOST}:{listener.getsockname()[1]}"
        endpoints = {**dict.fromkeys(SERVED, address), **(elsewhere or {})}
        arns = Arns(region=REGION, account=ACCOUNT)
        cloud = AwsCloud(*(_client(name, endpoints[name]) for name in SERVED[1:]))
        engine = Engine(arns, cloud, clock, Timing(speed=speed))
        registry = Registry(arns, clock, f"{address}{BLOBS}")
        balancer, alarms = Balancer(arns, clock, engine.timing), Alarms(arns, clock)
        apis = (EcsApi(engine), registry, balancer, alarms)
        gateway = Gateway(apis, {api.name: _model(api.name) for api in apis}, engine.faults)
        routing = Routing(balancer, engine)
        parts = (engine, engine.faults, registry, balancer, alarms, routing)
        ecs = Ecs(address, endpoints, engine, cloud, registry, routing, parts)
        with Server(listener, gateway, routing, ecs.admin, registry.blob) as server, _serving(server):
            try:
                create_resources(standard() if seed is None else seed, engine, cloud)
                balancer.settle()
                log.info("listening", host=HOST, port=listener.getsockname()[1])  # the initial state is complete
                with _ticking(engine) if ticking else nullcontext():
                    yield ecs
            finally:
                for client in (cloud.ecr, cloud.elbv2, cloud.cloudwatch, routing):
                    client.close()


@contextmanager
def _serving(server: Server) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": TICK_SECONDS}, name="ecs")
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def _ticking(engine: Engine) -> Iterator[None]:
    ended = threading.Event()

    def tick() -> None:
        while not ended.wait(TICK_SECONDS):
            try:
                engine.tick()
            except (BotoCoreError, ClientError) as error:
                log.warning("another AWS service does not respond; retrying", error=str(error))

    thread = threading.Thread(target=tick, name="ecs-ticks")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
