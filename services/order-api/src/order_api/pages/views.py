"""Pages of the problem codes, to which `type` of each problem refers."""

from http import HTTPStatus
from importlib.resources import files

import htpy as h
from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from order_api.pages.texts import EXPLANATIONS
from order_api.problems import ERROR_PAGES, KINDS, ProblemKind

STYLE = "/pages/static/pages.css"

router = APIRouter(include_in_schema=False)


@router.get(ERROR_PAGES)
async def list_errors() -> Response:
    return _page("Errors of the Order API", *_list())


@router.get(f"{ERROR_PAGES}/{{code}}")
async def explain_error(code: str) -> Response:
    kind = KINDS.get(code)
    if kind is None:
        missing = h.p["There is no error with the code ", h.code[code[:60]], "."]
        return _page("Unknown error code", missing, *_list(), status=HTTPStatus.NOT_FOUND)
    return _page(kind.title, *_explanation(kind))


@router.get(STYLE)
async def style() -> Response:
    return Response((files(__package__) / "pages.css").read_bytes(), media_type="text/css")


def _explanation(kind: ProblemKind) -> list[h.Node]:
    explained = EXPLANATIONS[kind.code]
    facts: dict[str, h.Node] = {
        "Code": h.code[kind.code],
        "HTTP status": f"{int(kind.status)} {kind.status.phrase}",
        "Retryable": "yes: the same request may succeed later" if kind.retryable else "no: change the request first",
    }
    return [
        h.dl[[(h.dt[name], h.dd[value]) for name, value in facts.items()]],
        h.h2["Cause"],
        h.p[explained.cause],
        h.h2["What to do"],
        h.p[explained.remedy],
        h.p[h.a(href=ERROR_PAGES)["All errors"]],
    ]


def _list() -> list[h.Node]:
    kinds = sorted(KINDS.values(), key=lambda kind: (kind.status, kind.code))
    rows = [
        h.li[h.a(href=f"{ERROR_PAGES}/{kind.code}")[h.code[kind.code]], f" {int(kind.status)}: {kind.title}"]
        for kind in kinds
    ]
    return [h.p["Programs compare the member ", h.code["code"], " of an error."], h.ul[rows]]


def _page(title: str, *content: h.Node, status: HTTPStatus = HTTPStatus.OK) -> Response:
    page = h.html(lang="en")[
        h.head[
            h.meta(charset="utf-8"),
            h.meta(name="viewport", content="width=device-width, initial-scale=1"),
            h.title[f"{title} · Order API"],
            h.link(rel="stylesheet", href=STYLE),
        ],
        h.body[h.main[h.h1[title], content]],
    ]
    return HTMLResponse(str(page), status)
