"""Requests through the fake's load balancer: from listener to rule, target group and target.

    /_lb/8443/api.dev.example.com/v1/orders   is   https://api.dev.example.com:8443/v1/orders

The fake's tasks run nothing. `serve` sets the address that answers in place of the tasks of an image.
"""

import random
from collections.abc import Mapping
from http import HTTPStatus

import httpx2

from fake_ecs.balancer import Balancer, Json
from fake_ecs.engine import Engine
from fake_ecs.gateway import Answer
from fake_ecs.model import TaskStatus

LISTENERS = "/_lb/"
TIMEOUT = 10.0
HTML = "text/html"
NOT_SENT_ON = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})
NOT_SENT_BACK = frozenset({"content-encoding", "content-type", "date", "server", *NOT_SENT_ON})
"""Headers that apply to one connection only, or that the fake writes itself."""


def listener_url(address: str, *, port: int, host: str) -> str:
    """The URL at which a fake at `address` serves its listener on `port` for requests to `host`."""
    return f"{address}{LISTENERS}{port}/{host}"


class Routing:
    def __init__(self, balancer: Balancer, engine: Engine) -> None:
        self._balancer = balancer
        self._engine = engine
        self._upstreams: dict[str | None, str] = {}

    def serve(self, url: str, digest: str | None = None) -> None:
        """Let an address answer in place of an image's tasks; without a digest, of every image that has none."""
        self._upstreams[digest] = url

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Forward a request as the listener's rules say. Returns the target's response, or the load balancer's own.

        `target` is the request target as it was sent: `/_lb/{port}/{host}`, then path and query.
        """
        port, _, rest = target.removeprefix(LISTENERS).partition("/")
        host, slash, path = rest.partition("/")
        if not port.isdecimal():
            return _own(HTTPStatus.NOT_FOUND)
        action = self._balancer.action(int(port), host=host, path=slash + path.partition("?")[0])
        if action["Type"] != "forward":
            return _own(HTTPStatus(int(action.get("FixedResponseConfig", {}).get("StatusCode", "404"))))
        target_url = self._target(action)
        if target_url is None:
            return _own(HTTPStatus.SERVICE_UNAVAILABLE)
        sent = {name: value for name, value in headers.items() if name.lower() not in NOT_SENT_ON}
        return _forward(method, f"{target_url}{slash}{path}", {**sent, "Host": host}, body)

    def _target(self, action: Json) -> str | None:
        """Pick a target by the weights of the action's target groups. Returns its URL, or None if there is none."""
        groups = action["ForwardConfig"]["TargetGroups"]
        weights = [group.get("Weight", 1) for group in groups]
        if not any(weights):
            return None
        group = random.choices(groups, weights)[0]["TargetGroupArn"]  # noqa: S311 - a load balancer, no secret
        targets = self._balancer.addresses(group)
        return self._upstream(group, random.choice(targets)) if targets else None  # noqa: S311

    def _upstream(self, group: str, address: str) -> str | None:
        with self._engine.lock:
            for service in self._engine.state.services.values():
                if service.balancing is None or group not in service.balancing.target_groups:
                    continue
                for task in service.tasks:
                    if task.address == address and task.status is TaskStatus.RUNNING:
                        digest = service.revision(task.revision_id).digests[0]
                        return self._upstreams.get(digest, self._upstreams.get(None))
        return None


def _forward(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    try:
        answer = httpx2.request(method, url, headers=headers, content=body, timeout=TIMEOUT)
    except httpx2.HTTPError:
        return _own(HTTPStatus.BAD_GATEWAY)
    kept = {name: value for name, value in answer.headers.items() if name.lower() not in NOT_SENT_BACK}
    return Answer(answer.status_code, answer.headers.get("Content-Type", HTML), answer.content, kept)


def _own(status: HTTPStatus) -> Answer:
    """The load balancer's own answer."""
    return Answer(status, HTML, f"{status.value} {status.phrase}".encode())
