"""Compare the committed generated documents with the code, and their examples with their schemas."""

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from openapi_schema_validator import OAS31Validator, oas31_format_checker

ROOT = Path(__file__).parents[1]


@cache
def printed_by(module: str) -> str:
    """Return the output of a module that runs without environment variables."""
    command = [sys.executable, "-m", module]
    return subprocess.run(command, capture_output=True, check=True, text=True, encoding="utf-8", env={}).stdout


def assert_committed(name: str, made: str) -> None:
    """Fail with the first difference if the committed document differs from the generated one."""
    path = ROOT / name
    committed = path.read_text(encoding="utf-8") if path.exists() else "{}"
    if committed != made:
        where = first_difference(json.loads(committed), json.loads(made)) or "only in its formatting"
        raise AssertionError(f"{name} differs from the code: run `make docs`. First difference: {where}")


def first_difference(committed: Any, made: Any, at: str = "") -> str | None:
    """Return the first difference of two JSON documents, as a JSON pointer with both values; None if they are equal."""
    if isinstance(committed, dict) and isinstance(made, dict):
        for name in [*made, *(name for name in committed if name not in made)]:
            place = f"{at}/{name.replace('~', '~0').replace('/', '~1')}"
            if name not in committed:
                return f"{place} is new"
            if name not in made:
                return f"{place} was removed"
            if found := first_difference(committed[name], made[name], place):
                return found
        return None
    if isinstance(committed, list) and isinstance(made, list) and len(committed) == len(made):
        differences = (
            first_difference(*pair, f"{at}/{index}") for index, pair in enumerate(zip(committed, made, strict=True))
        )
        return next(filter(None, differences), None)
    return None if committed == made else f"{at}: {_short(committed)} must be {_short(made)}"


def faults(document: Mapping[str, Any], schema: Mapping[str, Any], value: object) -> list[str]:
    """Return the faults of a value by a schema of the document (JSON Schema 2020-12), formats included."""
    whole = {**schema, "components": document["components"]}
    validator = OAS31Validator(whole, format_checker=oas31_format_checker)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def resolved(document: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part, or the part of the document that it refers to."""
    found: Any = part
    if "$ref" in part:
        found = document
        for name in str(part["$ref"]).removeprefix("#/").split("/"):
            found = found[name]
    return dict(found)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:100]}…"
