"""`python -m order_api.openapi` prints the document. Nothing is connected and no setting is read."""

import json
import sys

from fastapi import FastAPI

from order_api import api, openapi


def main() -> None:
    app = FastAPI()
    api.mount(app)
    json.dump(openapi.document(app), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
