"""Section of one operation: parameters, body, examples of calls, answers."""

from collections.abc import Mapping
from http import HTTPStatus

import htpy as h

from order_api.pages.reference.client_samples import CLIENT_SAMPLES
from order_api.pages.reference.curl import curl
from order_api.pages.reference.markdown import block, inline
from order_api.pages.reference.schemas import field, fields, type_of
from order_api.pages.reference.specification import Example, Node, Operation, Specification
from order_api.problems import ERROR_PAGES, KINDS

PLACES = {"path": "Path parameters", "query": "Query parameters", "header": "Headers"}


def operation_section(specification: Specification, operation: Operation) -> h.Element:
    node = operation.node
    description = node.get("description")
    return h.section(id=operation.id)[
        h.h3[node["summary"]],
        h.p[h.code(".call")[h.b[operation.method], " ", operation.path]],
        block(description) if description else None,
        _parameters(specification, operation),
        _body(specification, operation),
        h.h4["Example calls"],
        _calls(specification, operation),
        h.h4["Answers"],
        [_answer(specification, code, specification.resolved(answer)) for code, answer in operation.successes],
        _errors(specification, operation),
    ]


def code_block(text: str) -> h.Element:
    return h.pre[h.code[text.rstrip("\n")]]


def _parameters(specification: Specification, operation: Operation) -> h.Node:
    """Return the parameters by place, except those that every operation has."""
    every = [specification.resolved(each) for each in operation.node.get("parameters", ())]
    parameters = [each for each in every if each["name"] not in specification.common_parameters]
    return [
        (h.h4[PLACES[place]], h.dl(".fields")[(parameter_field(each) for each in found)])
        for place in PLACES
        if (found := [each for each in parameters if each["in"] == place])
    ]


def parameter_field(parameter: Node) -> h.Node:
    schema: Node = parameter["schema"]
    if "example" in parameter and "examples" not in schema:
        schema = {**schema, "examples": [parameter["example"]]}
    return field(
        parameter["name"],
        schema,
        is_required=bool(parameter.get("required")),
        description=parameter.get("description"),
    )


def _body(specification: Specification, operation: Operation) -> h.Node:
    body = operation.node.get("requestBody")
    if body is None:
        return None
    media_type, media = next(iter(body["content"].items()))
    return [
        h.h4["Body"],
        h.p[
            inline(body["description"]) if "description" in body else None,
            " ",
            h.code[media_type],
            ", ",
            type_of(media["schema"]),
        ],
        fields(specification.resolved(media["schema"])),
        _examples(specification.examples(media)),
    ]


def _calls(specification: Specification, operation: Operation) -> h.Node:
    calls = {"curl": curl(specification, operation)}
    if sample := CLIENT_SAMPLES.get(operation.id):
        calls |= {"Python": sample.python, "TypeScript": sample.typescript}
    return [
        h.details(open=number == 0)[h.summary[name], code_block(text)]
        for number, (name, text) in enumerate(calls.items())
    ]


def _examples(examples: list[Example]) -> h.Node:
    return [h.details[h.summary["Example: ", h.code[each.name]], code_block(each.text)] for each in examples]


def _answer(specification: Specification, code: str, answer: Node) -> h.Node:
    every = answer.get("headers", {}).items()
    headers = {name: node for name, node in every if name not in specification.common_answer_headers}
    return [
        h.p[h.strong[f"{code} {HTTPStatus(int(code)).phrase}"]],
        block(answer["description"]),
        (
            [
                h.p[h.code[media_type], (", ", type_of(media["schema"])) if "schema" in media else None],
                _examples(specification.examples(media)),
            ]
            for media_type, media in answer.get("content", {}).items()
        ),
        h.details[
            h.summary["Headers"],
            header_fields(specification, headers),
        ]
        if headers
        else None,
    ]


def header_fields(specification: Specification, headers: Mapping[str, Node]) -> h.Element:
    """Return the headers of an answer, which are described as parameters are."""
    resolved = {name: specification.resolved(header) for name, header in headers.items()}
    return h.dl(".fields")[(parameter_field({**header, "name": name}) for name, header in resolved.items())]


def _errors(specification: Specification, operation: Operation) -> h.Node:
    """Return the problem codes of the operation, each with a link to its page."""
    codes = [
        code
        for status, answer in operation.node["responses"].items()
        if status[0] in "45"
        for media in specification.resolved(answer).get("content", {}).values()
        for code in (example.value.get("code") for example in specification.examples(media))
        if code in KINDS
    ]
    rows = [
        h.li[f"{int(KINDS[code].status)} ", h.a(href=f"{ERROR_PAGES}/{code}")[h.code[code]], f": {KINDS[code].title}"]
        for code in dict.fromkeys(codes)
    ]
    return h.details[h.summary["Errors"], h.ul[rows]] if rows else None
