"""Section of one operation: parameters, body, examples of calls, answers."""

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
        [_answer(specification, code, specification.resolved(answer)) for code, answer in _successes(operation)],
        _errors(specification, operation),
    ]


def code_block(text: str) -> h.Element:
    return h.pre[h.code[text.rstrip("\n")]]


def _parameters(specification: Specification, operation: Operation) -> h.Node:
    parameters = [specification.resolved(each) for each in operation.node.get("parameters", ())]
    return [
        (h.h4[PLACES[place]], h.dl(".fields")[(_parameter(each) for each in found)])
        for place in PLACES
        if (found := [each for each in parameters if each["in"] == place])
    ]


def _parameter(parameter: Node) -> h.Node:
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


def _successes(operation: Operation) -> list[tuple[str, Node]]:
    return [(code, answer) for code, answer in operation.node["responses"].items() if code[0] in "23"]


def _answer(specification: Specification, code: str, answer: Node) -> h.Node:
    headers = answer.get("headers", {})
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
            h.dl(".fields")[(_header(name, specification.resolved(each)) for name, each in headers.items())],
        ]
        if headers
        else None,
    ]


def _header(name: str, header: Node) -> h.Node:
    return _parameter({**header, "name": name})


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
