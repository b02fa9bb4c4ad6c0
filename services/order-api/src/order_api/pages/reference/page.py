"""The page of the reference, as a whole."""

import htpy as h

from order_api.pages.errors import error_table
from order_api.pages.reference.client_samples import PYTHON_SETUP, TYPESCRIPT_SETUP
from order_api.pages.reference.curl import SETUP
from order_api.pages.reference.markdown import Section, block, sections
from order_api.pages.reference.operations import code_block, header_fields, operation_section, parameter_field
from order_api.pages.reference.schemas import schema_anchor, schema_section
from order_api.pages.reference.specification import Node, Specification
from order_pages.frame import Site

ERRORS = "Errors"
"""Section of the description about errors: the last one of the page."""
TABLE = "\n| code |"
"""Beginning of its table, which has more columns than fit on a small screen."""


def build(site: Site, path: str, document: Node) -> str:
    """Return the reference of an OpenAPI document. `path` is the page's own."""
    specification = Specification(document)
    introduction, *described = sections(document["info"]["description"])
    last = [section for section in described if section.title == ERRORS]
    first = [section for section in described if section not in last]
    return site.page(
        "Reference of the Order API",
        h.p[
            f"Version {document['info']['version']}. For tools: the ",
            h.a(href=f"{path}/openapi.json")["OpenAPI document"],
            ".",
        ],
        block(introduction.text),
        [_section(section) for section in first],
        _setup(),
        _common_headers(specification),
        [_tag(specification, tag) for tag in specification.tags],
        h.section(id="schemas")[
            h.h2["Schemas"], [schema_section(specification, name) for name in specification.schemas]
        ],
        [_section(Section(title=each.title, text=each.text.partition(TABLE)[0]), error_table()) for each in last],
        path=path,
        contents=_contents(specification, first, last),
    )


def _section(section: Section, *more: h.Node) -> h.Element:
    return h.section(id=section.anchor)[h.h2[section.title], block(section.text), more]


def _setup() -> h.Element:
    return h.section(id="examples")[
        h.h2["Examples"],
        h.p["The examples with curl use two variables: the address of the API, and an access token."],
        code_block(SETUP),
        h.p[
            "The Python client is the package ",
            h.code["order-client"],
            ". Its examples run in a function like this one:",
        ],
        code_block(PYTHON_SETUP),
        h.p["The TypeScript client is the package ", h.code["@order-platform/client"], ":"],
        code_block(TYPESCRIPT_SETUP),
    ]


def _common_headers(specification: Specification) -> h.Element:
    return h.section(id="common-headers")[
        h.h2["Common headers"],
        h.p["Every operation that needs a token accepts these headers:"],
        h.dl(".fields")[(parameter_field(each) for each in specification.common_parameters.values())],
        h.p["The answers to these operations have these headers:"],
        header_fields(specification, specification.common_answer_headers),
    ]


def _tag(specification: Specification, tag: Node) -> h.Element:
    return h.section(id=f"tag-{tag['name']}")[
        h.h2[tag["name"].capitalize()],
        block(tag["description"]),
        [operation_section(specification, each) for each in specification.operations(tag["name"])],
    ]


def _contents(specification: Specification, first: list[Section], last: list[Section]) -> h.Node:
    """Return the links to the parts of the page."""
    return [
        h.ul[
            (_link(section.anchor, section.title) for section in first),
            _link("examples", "Examples"),
            _link("common-headers", "Common headers"),
        ],
        (
            (
                h.h2[tag["name"].capitalize()],
                h.ul[(_link(each.id, each.node["summary"]) for each in specification.operations(tag["name"]))],
            )
            for tag in specification.tags
        ),
        h.h2[h.a(href="#schemas")["Schemas"]],
        h.ul(".names")[(_link(schema_anchor(name), name) for name in specification.schemas)],
        h.ul[(_link(section.anchor, section.title) for section in last)],
    ]


def _link(anchor: str, text: str) -> h.Element:
    return h.li[h.a(href=f"#{anchor}")[text]]
