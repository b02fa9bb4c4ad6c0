"""Forms of the Lab: each acts, and leads back to the page with the result."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from devstack.lab.faults import KILLED, SUSPENDED
from devstack.lab.laboratory import Laboratory
from devstack.lab.process import LAB
from devstack.lab.views import COUNTS

MAX_FORM_BYTES = 4096

Fields = Mapping[str, str]


class BadForm(Exception):
    """A form has a value that no page offers."""


def _form(act: Callable[[Fields], Awaitable[int]], laboratory: Laboratory) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of a form: it acts, and leads to the page with the result."""

    async def handle(request: Request) -> Response:
        try:
            number = await act(await _fields(request))
        except BadForm as error:
            return PlainTextResponse(f"{error}\n", HTTPStatus.BAD_REQUEST)
        laboratory.feed.outdate()
        return RedirectResponse(f"{LAB}?done={number}#result", HTTPStatus.SEE_OTHER)

    return handle


async def _fields(request: Request) -> Fields:
    """Return the fields of a form. Raises BadForm."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM_BYTES:
            raise BadForm("the form is too large")
    return {name: values[-1] for name, values in parse_qs(body.decode(errors="replace")).items()}


def _chosen(form: Fields, name: str, offered: set[str]) -> str:
    value = form.get(name, "")
    if value not in offered:
        raise BadForm(f"{name}: choose one of {', '.join(sorted(offered))}")
    return value


def form_routes(laboratory: Laboratory) -> list[Route]:
    """Return a route for each form."""

    async def place(form: Fields) -> int:
        return laboratory.place(int(_chosen(form, "count", {str(count) for count in COUNTS})))

    async def kill(form: Fields) -> int:
        return laboratory.faults.kill(_chosen(form, "name", set(KILLED)))

    async def suspend(form: Fields) -> int:
        return laboratory.faults.suspend(_chosen(form, "name", set(SUSPENDED)))

    async def poison(_: Fields) -> int:
        return await laboratory.faults.poison()

    async def new(_: Fields) -> int:
        return await laboratory.start_anew()

    actions: Mapping[str, Callable[[Fields], Awaitable[int]]] = {
        "orders": place,
        "kill": kill,
        "suspend": suspend,
        "poison": poison,
        "new": new,
    }
    return [Route(f"{LAB}/{name}", _form(act, laboratory), methods=["POST"]) for name, act in actions.items()]
