"""Check of a pushed image's provenance: `make push` skips a tag that exists only if the image is its own.

    docker buildx imagetools inspect IMAGE --format '{{json .Provenance}}' | python -m devtools.provenance IMAGE COMMIT

BuildKit writes the provenance, one document per platform, as SLSA 0.2 or 1. It is not signed: a caller who may push to
a repository can write any. The roles of CI decide who may push (docs/ci.md). Standard library only.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

PREDICATE = "SLSA"


def faults_of(provenance: Any, *, commit: str, builder: str) -> list[str]:
    """Return what shows that the image was not built from the commit by the builder; an empty list if it was.

    `builder` is the beginning of the builder's id, such as the address of the repository on GitHub; empty for any.
    """
    documents = dict(_documents(provenance))
    if not documents:
        return ["it has no provenance"]
    return [fault for where, document in documents.items() for fault in _faults(where, document, commit, builder)]


def _documents(provenance: Any) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Return the document of each platform. An image for one platform has only one."""
    if not isinstance(provenance, Mapping):
        return
    if PREDICATE in provenance:
        yield "the image", provenance[PREDICATE]
        return
    for platform, each in provenance.items():
        yield platform, each.get(PREDICATE, {}) if isinstance(each, Mapping) else {}


def _faults(where: str, document: Mapping[str, Any], commit: str, builder: str) -> Iterable[str]:
    built_from, built_by = _commit(document), _builder(document)
    if built_from != commit:
        yield f"{where} was built from {built_from or 'an unknown commit'}, not from {commit}"
    if not built_by.startswith(builder):
        yield f"{where} was built by {built_by or 'an unknown builder'}, not by {builder}"


def _commit(document: Mapping[str, Any]) -> str:
    """Return the build argument COMMIT."""
    former = _at(document, "invocation", "parameters", "args", "build-arg:COMMIT")
    return str(former or _at(document, "buildDefinition", "externalParameters", "request", "args", "build-arg:COMMIT"))


def _builder(document: Mapping[str, Any]) -> str:
    return str(_at(document, "builder", "id") or _at(document, "runDetails", "builder", "id"))


def _at(document: Any, *path: str) -> object:
    """Return the member at a path; an empty string if there is none."""
    for name in path:
        document = document.get(name, "") if isinstance(document, Mapping) else ""
    return document


def builder_of(environ: Mapping[str, str]) -> str:
    """Return the beginning of the builder's id in a GitHub workflow; empty elsewhere."""
    if "GITHUB_REPOSITORY" not in environ:
        return ""
    return f"{environ['GITHUB_SERVER_URL']}/{environ['GITHUB_REPOSITORY']}/"


def main(image: str, commit: str, text: str, environ: Mapping[str, str]) -> str | None:
    """Return the message of a failure, or None if the image is our own."""
    try:
        provenance = json.loads(text)
    except ValueError:
        return f"{image} exists already, and its provenance cannot be read: {text[:200]!r}"
    faults = faults_of(provenance, commit=commit, builder=builder_of(environ))
    if not faults:
        print(f"{image} exists already, built from {commit}")  # noqa: T201 - output of the command
        return None
    lines = "".join(f"  {fault}\n" for fault in faults)
    return (
        f"{image} exists already, but it is another image:\n{lines}Find out who pushed it. The tag cannot be moved; to "
        f"build this commit again, run: make push TAG=sha-{commit}-2"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.stdin.read(), os.environ))
