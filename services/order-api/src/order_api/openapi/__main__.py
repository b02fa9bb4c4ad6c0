"""Print the OpenAPI document: `python -m order_api.openapi`. Opens no connection and reads no setting.

With the path of a Markdown file, write the table of errors into it instead, between its two markers.
"""

import json
import sys
from pathlib import Path

from fastapi import FastAPI

from order_api import openapi
from order_api.openapi.texts import error_rows
from order_api.problems import KINDS
from order_api.routes import ROUTES

BEGIN, END = "<!-- error codes: begin -->\n", "<!-- error codes: end -->"


def with_table(text: str) -> str:
    """Return a Markdown text with the table of errors between its markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "| code | status | retryable | title |\n|---|---|---|---|\n" + error_rows(KINDS.values(), linked=False)
    return f"{before}{BEGIN}{table}{END}{after}"


def main() -> None:
    for path in map(Path, sys.argv[1:]):
        path.write_text(with_table(path.read_text("utf-8")), "utf-8")
    if sys.argv[1:]:
        return
    app = FastAPI(routes=[*ROUTES], docs_url=None, redoc_url=None)
    sys.stdout.buffer.write(f"{json.dumps(openapi.document(app), indent=2, ensure_ascii=False)}\n".encode())


if __name__ == "__main__":
    main()
