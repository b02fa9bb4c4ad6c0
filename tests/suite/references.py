"""Find names on a page that do not exist in the repository: files, modules, tests, make targets, verbs of orderctl."""

import re
import shlex
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import typer.main

from infra.operate.__main__ import app as operate
from orderctl.main import app

FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FILE = re.compile(r"[\w./*-]+\.(?:py|md|toml|ya?ml|json|sh|svg|env|lock|cjs|txt)")
MODULE = re.compile(
    r"(?:order_\w+|aws_json_client|devstack|fake_ecs|orderctl|infra|tests|devtools|observability)(?:\.\w+)+"
)
TEST = re.compile(r"test_\w+")
WORD = re.compile(r"[a-z][a-z-]*")
ELSEWHERE = (".local/", ".venv/", "/", "~", "uv.toml", "stack.json", "orders-api/")
"""Beginnings of names that are no paths of the repository: generated files, files of users, scopes."""

ENDS = frozenset({"|", "&&", "||", ";", "#", ">", "<", "\\"})
"""Words of a shell after which another command begins, or none."""

SOURCES = (
    *("shared/src", "operations/src", "cli/src"),
    *("services/*/src", "packages/*/src", "clients/*/src", "devtools/*/src"),
)
"""Import roots in addition to the root folder."""


class Repository:
    """Files and commands of a checkout."""

    def __init__(self, root: Path, files: list[str]) -> None:
        self.root = root
        self.files = [PurePosixPath(name) for name in files]
        self._texts: dict[PurePosixPath, str] = {}

    @cached_property
    def targets(self) -> set[str]:
        """Targets of the Makefile, without those of files."""
        makefile = (self.root / "Makefile").read_text(encoding="utf-8")
        phony = " ".join(re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", makefile, re.MULTILINE)).replace("\\\n", " ")
        return {*phony.split()}

    @cached_property
    def sources(self) -> str:
        """All code in which a test or a setting such as `test_cidrs` may be."""
        python = [path for path in self.files if path.suffix == ".py" and path.parts[0] in {"tests", "infra"}]
        return "\n".join(map(self._text, python))

    @cached_property
    def places(self) -> set[str]:
        """Every end of the path of a file or a folder, such as `orders.py` and `storage/orders.py`."""
        named = {place for file in self.files for place in (file, *file.parents)}
        return {"/".join(place.parts[start:]) for place in named for start in range(len(place.parts))}

    def has_file(self, name: str, page: PurePosixPath) -> bool:
        """Return whether a path, or the end of one, names a file or a folder; `*` matches a part of a name."""
        end = name.removeprefix("./").rstrip("/")
        if "*" in end:
            pattern = re.compile(re.escape(end).replace(r"\*", "[^/]*"))
            return any(map(pattern.fullmatch, self.places))
        return end in self.places or (self.root / page.parent / name).exists()

    def has_module(self, name: str) -> bool:
        """Return whether a dotted name is a module, or a name in the source of one."""
        *package, last = name.split(".")
        for base in (self.root, *(folder for pattern in SOURCES for folder in self.root.glob(pattern))):
            if (base / Path(*package, last)).is_dir() or (base / Path(*package, f"{last}.py")).is_file():
                return True
            for module in (base / Path(*package).with_suffix(".py"), base / Path(*package, "__init__.py")):
                if module.is_file() and re.search(rf"\b{last}\b", module.read_text(encoding="utf-8")):
                    return True
        return False

    def selected(self, name: str, words: str) -> Iterator[str]:
        """Yield the words of pytest's -k that no test below a path has."""
        inside = [
            path for path in self.files if path.suffix == ".py" and (path.match(name) or f"/{name}/" in f"/{path}")
        ]
        source = "\n".join(map(self._text, inside)).lower()
        stems = " ".join(path.stem for path in inside).lower()
        for word in re.findall(r"[\w\[\]-]+", words):
            if word not in {"and", "or", "not"} and word.lower() not in source + stems:
                yield word

    def _text(self, path: PurePosixPath) -> str:
        if path not in self._texts:
            self._texts[path] = (self.root / path).read_text(encoding="utf-8")
        return self._texts[path]


def dead(repository: Repository, page: PurePosixPath, text: str) -> Iterator[str]:
    """Yield every name on the page that does not exist."""
    prose = FENCE.sub("", text)
    yield from _dead_links(repository, page, text)
    for span in SPAN.findall(prose):
        yield from _dead_span(repository, page, " ".join(span.split()))
    for _, language, code in FENCE.findall(text):
        if language in {"sh", "console"}:
            for line in code.replace("\\\n", " ").splitlines():
                yield from _dead_command(repository, page, line.lstrip("$ "))


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub makes of the headings."""
    headings = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _dead_links(repository: Repository, page: PurePosixPath, text: str) -> Iterator[str]:
    for target in LINK.findall(SPAN.sub("", FENCE.sub("", text))):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = repository.root / page.parent / path
        if path and not file.exists():
            yield f"link {target}"
        elif anchor and anchor not in anchors(file.read_text(encoding="utf-8") if path else text):
            yield f"heading {target}"


def _dead_span(repository: Repository, page: PurePosixPath, span: str) -> Iterator[str]:
    first, *rest = span.split(" ")
    if first in {"make", "orderctl", ".venv/bin/orderctl", "pytest", "python"}:
        yield from _dead_command(repository, page, span)
    elif FILE.fullmatch(first) and not first.startswith(ELSEWHERE):
        if not repository.has_file(first, page):
            yield f"file {first}"
        elif rest[:1] == ["-k"]:
            yield from (f"test {first} -k {word}" for word in repository.selected(first, " ".join(rest[1:])))
    elif not rest and first.endswith("/") and re.fullmatch(r"[\w./*-]+", first) and not first.startswith(ELSEWHERE):
        if not repository.has_file(first, page):
            yield f"folder {first}"
    elif MODULE.fullmatch(span):
        if not repository.has_module(span):
            yield f"module {span}"
    elif TEST.fullmatch(span) and span not in repository.sources and not repository.has_file(f"{span}.py", page):
        yield f"test {span}"


def _dead_command(repository: Repository, page: PurePosixPath, line: str) -> Iterator[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return
    while words and (re.fullmatch(r"[A-Z_]+=.*", words[0]) or words[0] == "!"):
        words.pop(0)
    end = next((index for index, word in enumerate(words) if word in ENDS), len(words))
    match words[:end]:
        case ["make", *targets]:
            yield from (f"target make {name}" for name in _dead_targets(repository, targets))
        case ["orderctl" | ".venv/bin/orderctl", *arguments]:
            yield from _dead_verb(_commands(), "orderctl", arguments)
        case ["docker", *words] if "orderctl" in words:
            yield from _dead_verb(_commands(), "orderctl", words[words.index("orderctl") + 1 :])
        case ["pytest" | ".venv/bin/pytest", *arguments]:
            yield from _dead_tests(repository, page, arguments)
        case ["python" | ".venv/bin/python", "-m", module, *_] if MODULE.fullmatch(module):
            if not repository.has_module(module):
                yield f"module {module}"


def _dead_targets(repository: Repository, words: list[str]) -> Iterator[str]:
    for word in words:
        if word.startswith("-") or "=" in word or not WORD.match(word):
            continue
        name = word.rstrip("…")
        known = (
            any(target.startswith(name) for target in repository.targets)
            if word != name
            else word in repository.targets
        )
        if not known:
            yield word


def _dead_tests(repository: Repository, page: PurePosixPath, words: list[str]) -> Iterator[str]:
    paths = [word for word in words if "/" in word]
    yield from (f"file {path}" for path in paths if not repository.has_file(path.partition("::")[0], page))
    for word in words[words.index("-k") + 1 :][:1] if "-k" in words else []:
        for path in paths or ["tests"]:
            yield from (f"test {path} -k {each}" for each in repository.selected(path, word))


def _dead_verb(command: Any, typed: str, words: list[str]) -> Iterator[str]:
    """Yield a verb or an option that no command has."""
    if typed == "orderctl env" and words[:1]:
        command = typer.main.get_command(operate)
    options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
    for index, word in enumerate(words):
        if word.startswith("--"):
            if word.partition("=")[0] not in options:
                yield f"option {typed} {word}"
        elif hasattr(command, "commands") and WORD.fullmatch(word):
            if word in command.commands:
                yield from _dead_verb(command.commands[word], f"{typed} {word}", words[index + 1 :])
            else:
                yield f"verb {typed} {word}"
            return


@cache
def _commands() -> Any:
    return typer.main.get_command(app)
