"""Generator of the file sections that list every service (`make services`).

The files cannot read the table of services, `order_shared.naming.SERVICES`, themselves. A section lies between the
comments `# services: NAME` and `# services: end`; the rest of the file is written by hand.
"""

import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

from order_shared.naming import SERVICES, Service, ServiceKind, shipping_order

ROOT = Path(__file__).parents[1]
PART = re.compile(r"^( *)# services: (\w+)\n.*?^ *# services: end\n", re.MULTILINE | re.DOTALL)


def every(template: str) -> str:
    """Return the template filled in for every service, in the order of the table."""
    return "".join(template.format(**vars(service)) for service in SERVICES)


def mounts() -> str:
    return every("- ./services/{name}/src:/src/services/{name}/src:ro\n")


def containers() -> str:
    return "\n".join(map(_container, SERVICES))


def _container(service: Service) -> str:
    """Return the entry of a service in compose.yaml.

    When the source changes, watchfiles sends SIGINT, waits up to `--sigint-timeout` seconds, and restarts the service.
    """
    is_http = service.kind is ServiceKind.HTTP
    seconds, settings = (30, ", ORDER_LAME_DUCK_SECONDS: 0") if is_http else (15, "")
    name = service.name
    return f"""\
{name}:
  <<: *{service.kind}
  command:
    [watchfiles, --filter, python, --sigint-timeout, "{seconds}", {name}, shared/src, services/{name}/src]
  environment: {{ORDER_PORT: {service.port}{settings}}}
  ports: ["127.0.0.1:{service.local_port}:{service.port}"]
"""


def ships() -> str:
    """Return the workflow steps that deploy each image.

    Each deployment signs in again, because credentials expire after an hour and the bake time of a deployment is long.
    """
    step = """\
- uses: ./.github/actions/sign-in
  with:
    environment: ${{ inputs.roles-of }}
    role: deploy
- run: make ship
  env:
    SERVICES: """
    return "".join(f"{step}{name}\n" for name in shipping_order())


PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "compose.yaml": {
        "mounts": mounts,
        "storing_mounts": mounts,
        "containers": containers,
        "scraped": lambda: every("{name}: {{condition: service_healthy}}\n"),
    },
    "devtools/devstack/Dockerfile": {
        "projects": lambda: every("COPY services/{name}/pyproject.toml services/{name}/\n"),
    },
    "observability/prometheus/prometheus.yml": {
        "scrapes": lambda: every("- job_name: {name}\n  static_configs:\n    - targets: [{name}:{port}]\n"),
    },
    ".github/workflows/check.yml": {"images": lambda: every("- {name}\n")},
    ".github/workflows/environment.yml": {"ships": ships},
    "pyproject.toml": {
        "mypy_path": lambda: every('"$MYPY_CONFIG_FILE_DIR/services/{name}/src",\n'),
        "mypy_files": lambda: every('"services/{name}/src",\n'),
    },
}
"""The sections of each file, by name."""


def written(path: str) -> str:
    """Return the content of a file with its sections regenerated. Raises ValueError if a section is missing."""
    parts = PARTS[path]
    text = (ROOT / path).read_text(encoding="utf-8")
    if (found := [name for _, name in PART.findall(text)]) != list(parts):
        raise ValueError(f"{path} has the sections {found} instead of {list(parts)}")

    def part(match: re.Match[str]) -> str:
        indent, name = match.groups()
        return textwrap.indent(f"# services: {name}\n{parts[name]()}# services: end\n", indent)

    return PART.sub(part, text)


if __name__ == "__main__":
    for each in PARTS:
        (ROOT / each).write_text(written(each), encoding="utf-8")
