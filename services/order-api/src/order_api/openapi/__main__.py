"""Print the OpenAPI document: `python -m order_api.openapi`. Opens no connection and reads no setting."""

import json
import sys

from fastapi import FastAPI

from order_api import api, openapi


def main() -> None:
    app = FastAPI()
    api.mount(app)
    sys.stdout.buffer.write(f"{json.dumps(openapi.document(app), indent=2, ensure_ascii=False)}\n".encode())


if __name__ == "__main__":
    main()
