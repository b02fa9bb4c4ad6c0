"""Programs that must accept the documents: readers, and generators whose clients must compile."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.generators.workshop import PYTHON, TYPESCRIPT_CLIENT, Done, run

PYTHON_CLIENT = "python"


@dataclass(frozen=True)
class Gate:
    """Commands that must succeed without a warning, in this order. `needs_npm`: they come with packages of npm."""

    name: str
    commands: Sequence[Sequence[str | Path]]
    needs_npm: bool = True
    warning: str = "warning"
    """Pattern of output that is a warning; case is ignored."""
    folder: Path | None = None
    """Folder in which the commands run, if it is not a temporary one."""

    def run(self, folder: Path) -> Iterator[Done]:
        """Run the commands up to the first that fails or warns; yield the result of each."""
        for command in self.commands:
            done = run(command, self.folder or folder)
            done = Done(done.succeeded and not re.search(self.warning, done.output, re.IGNORECASE), done.output)
            yield done
            if not done.succeeded:
                return


PYTHON_GENERATOR, OPENAPI_TYPESCRIPT, HEY_API, COMPILER = (
    "openapi-python-client",
    "openapi-typescript",
    "@hey-api/openapi-ts",
    "tsc --strict, both TypeScript clients",
)
GATES: Sequence[Gate] = (
    Gate(
        "redocly lint",
        [["redocly", "lint", "--config=redocly.yaml", "--format=json", "openapi.json"]],
        warning='"warnings": [1-9]',  # it also warns of old releases of Node
    ),
    Gate("asyncapi parser", [["node", "asyncapi.mjs", "asyncapi.json"]]),
    Gate(
        PYTHON_GENERATOR,
        [
            [
                PYTHON / "openapi-python-client",
                "generate",
                "--path=openapi.json",
                f"--output-path={PYTHON_CLIENT}",
                "--overwrite",
                "--fail-on-warning",
            ],
            [PYTHON / "python", "-W", "error", "-m", "compileall", "-q", "-f", PYTHON_CLIENT],
        ],
        needs_npm=False,
    ),
    Gate(OPENAPI_TYPESCRIPT, [["openapi-typescript", "openapi.json", "--output=schema.d.ts"]]),
    Gate(HEY_API, [["openapi-ts", "--file=openapi-ts.config.mjs"]]),
    Gate(
        "clients/typescript: build, tests, package",
        [["npm", "run", "build"], ["npm", "test"], ["npm", "pack", "--dry-run"]],
        folder=TYPESCRIPT_CLIENT,
    ),
    Gate(COMPILER, [["tsc", "--project", "tsconfig.json"]]),
)
