"""Route requests through the fake's load balancer: listener, rule, target group, target.

    /_lb/8443/api.dev.example.com/v1/orders   is   https://api.dev.example.com:8443/v1/orders

Tasks of the fake run no containers. `Routing.serve` sets the URL to which requests for the tasks of an image are
forwarded.
"""

import random
from collections.abc import Mapping
from http import HTTPStatus

import httpx2

from fake_ecs.balancer import Balancer, Json
from fake_ecs.engine import Engine
from fake_ecs.gateway import Response
from fake_ecs.model import TaskStatus

LISTENERS = "/_lb/"
TIMEOUT = 10.0
HTML = "text/html"
NOT_SENT_ON = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})
NOT_SENT_BACK = frozenset({"content-encoding", "content-type", "date", "server", *NOT_SENT_ON})
"""Headers that apply to one connection only or are set by the fake."""


def listener_url(address: str, *, port: int, host: str) -> str:
    """Return the URL of the listener on `port` for requests to `host`, of a fake at `address`."""
    return f"{address}{LISTENERS}{port}/{host}"


class Routing:
    def __init__(self, balancer: Balancer, engine: Engine) -> None:
        self._balancer = balancer
        self._engine = engine
        self._upstreams: dict[str | None, str] = {}
        # Tasks are on this machine: no proxy. A target may end at any time: no connection is kept.
        route = httpx2.HTTPTransport(proxy=None, limits=httpx2.Limits(max_keepalive_connections=0))
        self._http = httpx2.Client(transport=route, timeout=TIMEOUT)

    def close(self) -> None:
        self._http.close()

    def serve(self, url: str, digest: str | None = None) -> None:
        """Set the URL that receives the requests for the tasks of an image; without `digest`, of every other image."""
        self._upstreams[digest] = url

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Forward a request by the listener's rules. Return the response of the target, or one of the load balancer.

        `target` is the raw request target: `/_lb/{port}/{host}`, then path and query. Raises ApiError if no listener
        has the port.
        """
        port, _, rest = target.removeprefix(LISTENERS).partition("/")
        host, slash, path = rest.partition("/")
        if not port.isdecimal():
            return _own_response(HTTPStatus.NOT_FOUND)
        action = self._balancer.action(int(port), host=host, path=slash + path.partition("?")[0])
        if action["Type"] != "forward":
            return _own_response(HTTPStatus(int(action.get("FixedResponseConfig", {}).get("StatusCode", "404"))))
        target_url = self._target(action)
        if target_url is None:
            return _own_response(HTTPStatus.SERVICE_UNAVAILABLE)
        sent = {name: value for name, value in headers.items() if name.lower() not in NOT_SENT_ON}
        return self._forward(method, f"{target_url}{slash}{path}", {**sent, "Host": host}, body)

    def _forward(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        try:
            answer = self._http.request(method, url, headers=headers, content=body)
        except httpx2.HTTPError:
            return _own_response(HTTPStatus.BAD_GATEWAY)
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in NOT_SENT_BACK}
        return Response(answer.status_code, answer.headers.get("Content-Type", HTML), answer.content, kept)

    def _target(self, action: Json) -> str | None:
        """Pick a target by the weights of the action's target groups. Return its URL, or None if there is no target."""
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


def _own_response(status: HTTPStatus) -> Response:
    """Return a response of the load balancer itself."""
    return Response(status, HTML, f"{status.value} {status.phrase}".encode())
