"""Context of the commands: repository, organisation, environment variables and connections. Tests replace it."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import boto3
import httpx2

from infra import environments
from infra.environments import Organisation
from orderctl.exceptions import Refused

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class OperateContext:
    root: Path
    """Root folder of the repository."""
    organisation: Organisation
    environ: Mapping[str, str]
    session: Callable[[], boto3.Session] = boto3.Session
    """Factory for the boto3 session, called when a command first needs AWS."""
    hcp_transport: httpx2.BaseTransport | None = None
    """Transport to HCP Terraform in tests; None for the network."""

    @classmethod
    def of_process(cls) -> Self:
        return cls(root=ROOT, organisation=environments.ORGANISATION, environ=os.environ)

    def synthesized(self, environment: str) -> Path:
        """Return the default output folder for an environment's stacks. It has a subfolder for each app."""
        return self.root / ".local" / "infra" / environment

    def terraform(self) -> str:
        """Return the path of the `terraform` executable. Raises Refused if it is not on the PATH."""
        found = shutil.which("terraform", path=self.environ.get("PATH"))
        if found is None:
            raise Refused("there is no terraform on the PATH: install 1.11 or newer, from developer.hashicorp.com")
        return found
