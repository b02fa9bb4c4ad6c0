"""Texts that people read in the project, each with its file and line."""

import ast
import json
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

LOG_METHODS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
CODE_SPAN = re.compile(r"`[^`]*`")
URL = re.compile(r"https?://\S+|\]\([^)]*\)")
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
DIRECTIVE = re.compile(r"noqa|type: ignore|pyright:|pragma:|!")
"""Comments that a tool reads."""

COMMENT = re.compile(r"(?:^\s*|  )#\s+(.*\w.*)$")
MAKE_HELP = re.compile(r"^[\w.-]+:[^#\n]*## (.+)$|^##@ (.+)$|^# (.+)$", re.MULTILINE)
MAKE_ECHO = re.compile(r"\becho \"([^\"]+)\"")


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text that is read as a whole, such as a docstring. `line` is the line of its first word."""

    path: str
    line: int
    kind: str
    words: str

    @property
    def length(self) -> int:
        """Number of words."""
        return len(self.words.split())


def of_python(path: str, source: str) -> Iterator[Text]:
    """Yield docstrings, comments, log events, error messages and all other prose in string literals."""
    literals = [*_literals(ast.parse(source))]
    for node, kind in literals:
        words = _literal(node)
        if kind == "log event":
            words = words.replace("_", " ")
        if kind != "text" or " " in words.strip():
            yield Text(path=path, line=node.lineno, kind=kind, words=_prose(words))
    inside = {line for node, _ in literals for line in range(node.lineno + 1, (node.end_lineno or node.lineno) + 1)}
    yield from _comments(path, source, inside)


def of_markdown(path: str, source: str) -> Iterator[Text]:
    """Yield the paragraphs of a page, without code; labels of Mermaid diagrams are prose."""
    plain = FENCE.sub(_without_code, source)
    line = 1
    for blank, lines in groupby(plain.split("\n"), key=lambda text: not text.strip()):
        paragraph = [*lines]
        if not blank:
            yield Text(path=path, line=line, kind="page", words=_prose("\n".join(paragraph)))
        line += len(paragraph)


def of_makefile(path: str, source: str) -> Iterator[Text]:
    """Yield the help of each target, headings, comments and what recipes print."""
    for kind, pattern in (("help", MAKE_HELP), ("message", MAKE_ECHO)):
        for match in pattern.finditer(source):
            words = next(filter(None, match.groups()), "")
            line = source.count("\n", 0, match.start()) + 1
            yield Text(path=path, line=line, kind=kind, words=_prose(words))


def of_dashboard(path: str, source: str) -> Iterator[Text]:
    """Yield the titles and descriptions of a Grafana dashboard and its panels."""
    for key, value in _members(json.loads(source)):
        if key in {"title", "description", "legendFormat"} and isinstance(value, str) and value:
            line = source.count("\n", 0, max(source.find(json.dumps(value)), 0)) + 1
            yield Text(path=path, line=line, kind=f"panel's {key}", words=_prose(value))


def of_rules(path: str, source: str) -> Iterator[Text]:
    """Yield the annotations of Prometheus' alerts, and comments."""
    for key, value in _members(yaml.safe_load(source)):
        if key in {"summary", "description"} and isinstance(value, str):
            line = source.count("\n", 0, max(source.find(value.split("\n", 1)[0]), 0)) + 1
            yield Text(path=path, line=line, kind="alert", words=_prose(value))
    for number, row in enumerate(source.splitlines(), 1):
        if row.lstrip().startswith("# "):
            yield Text(path=path, line=number, kind="comment", words=_prose(row.lstrip("# ")))


def of_help(command: Any, path: str) -> Iterator[Text]:
    """Yield the help of a command, its parameters and its subcommands; `path` is the command as it is typed."""
    for words in filter(None, [command.help, command.epilog, *(getattr(each, "help", "") for each in command.params)]):
        yield Text(path=path, line=1, kind="help", words=_prose(words))
    for name, each in getattr(command, "commands", {}).items():
        yield from of_help(each, f"{path} {name}")


def of_file(root: Path, path: str) -> list[Text]:
    """Return the texts of a file, or none for a file without prose."""
    readers = {".py": of_python, ".md": of_markdown, "Makefile": of_makefile}
    if path.startswith("observability/"):
        readers |= {".json": of_dashboard, ".yml": of_rules}
    reader = readers.get(Path(path).suffix or Path(path).name)
    return [*reader(path, (root / path).read_text(encoding="utf-8"))] if reader else []


def _literals(tree: ast.Module) -> Iterator[tuple[ast.Constant | ast.JoinedStr, str]]:
    """Yield each string literal with its kind. An f-string is one literal."""
    waiting: list[tuple[ast.AST, str]] = [(tree, "text")]
    while waiting:
        node, kind = waiting.pop()
        match node:
            case ast.Constant(value=str()) | ast.JoinedStr():
                yield node, kind
                continue
            case ast.Expr(value=ast.Constant(value=str()) as docstring):
                yield docstring, "docstring"
                continue
            case ast.Raise():
                kind = "error"
            case ast.Call(func=ast.Attribute(attr=method), args=[ast.Constant(value=str()) as event, *others]) if (
                method in LOG_METHODS
            ):
                yield event, "log event"
                waiting += [(each, kind) for each in (node.func, *others, *node.keywords)]
                continue
        waiting += [(child, kind) for child in ast.iter_child_nodes(node)]


def _literal(node: ast.Constant | ast.JoinedStr) -> str:
    """Return the text of a literal, with an ellipsis for each value in an f-string."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)


def _comments(path: str, source: str, inside: Container[int]) -> Iterator[Text]:
    """Yield comments, those below each other as one text. Lines inside a string have none."""
    previous, first, lines = -1, 0, list[str]()
    for row, line in enumerate(source.splitlines(), 1):
        found = COMMENT.search(line) if "#" in line and row not in inside else None
        if found is None or DIRECTIVE.match(found[1]):
            continue
        if lines and row == previous + 1:
            lines.append(found[1])
        else:
            if lines:
                yield Text(path=path, line=first, kind="comment", words=_prose("\n".join(lines)))
            first, lines = row, [found[1]]
        previous = row
    if lines:
        yield Text(path=path, line=first, kind="comment", words=_prose("\n".join(lines)))


def _prose(words: str) -> str:
    """Return the words without code spans and addresses, on the same lines."""
    return CODE_SPAN.sub("…", URL.sub("]", words)) if "`" in words or "http" in words or "](" in words else words


def _without_code(block: re.Match[str]) -> str:
    """Return a code block with empty lines; a Mermaid diagram without its fences."""
    return f"\n{block[3]}" if block[2] == "mermaid" else "\n" * block[0].count("\n")


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every member of every object in a JSON document."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield key, member
            yield from _members(member)
    elif isinstance(value, list):
        for member in value:
            yield from _members(member)
