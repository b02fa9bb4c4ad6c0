"""Pages of the problem codes, to which `type` of each problem refers."""

import json

import htpy as h

from order_api.document import problem_examples
from order_api.pages.texts import EXPLANATIONS
from order_api.problems import ERROR_PAGES, KINDS, ProblemKind
from order_pages.frame import Site, breakable


def error_page(site: Site, kind: ProblemKind) -> str:
    explained = EXPLANATIONS[kind.code]
    facts: dict[str, h.Node] = {
        "Code": h.code[kind.code],
        "HTTP status": f"{int(kind.status)} {kind.status.phrase}",
        "Retryable": "yes: the same request may succeed later" if kind.retryable else "no: change the request first",
    }
    return site.page(
        kind.title,
        h.dl(".facts")[[(h.dt[name], h.dd[value]) for name, value in facts.items()]],
        h.h2["Cause"],
        h.p[explained.cause],
        h.h2["What to do"],
        h.p[explained.remedy],
        _example(kind.code),
        h.p[h.a(href=ERROR_PAGES)["All errors"]],
    )


def _example(code: str) -> h.Node:
    example = problem_examples().get(code)
    if example is None:
        return None
    return [h.h2["Example"], h.pre[h.code[json.dumps(example, indent=2, ensure_ascii=False)]]]


def error_list_page(site: Site) -> str:
    return site.page("Errors of the Order API", *_introduction(), error_table(), path=ERROR_PAGES)


def unknown_error_page(site: Site, code: str) -> str:
    missing = h.p["There is no error with the code ", h.code[code[:60]], "."]
    return site.page("Unknown error code", missing, *_introduction(), error_table())


def error_table() -> h.Element:
    """Return the list of all codes, each with a link to its page."""
    kinds = sorted(KINDS.values(), key=lambda kind: (kind.status, kind.code))
    return h.table[
        h.thead[h.tr[h.th(scope="col")["Status"], h.th(scope="col")["Code"], h.th(scope="col")["Meaning"]]],
        h.tbody[
            (
                h.tr[
                    h.td[str(int(kind.status))],
                    h.td[h.a(href=f"{ERROR_PAGES}/{kind.code}")[h.code[breakable(kind.code)]]],
                    h.td[kind.title, h.span(".quiet")[" · retryable"] if kind.retryable else None],
                ]
                for kind in kinds
            )
        ],
    ]


def _introduction() -> list[h.Node]:
    return [h.p["Programs compare the member ", h.code["code"], " of an error."]]
