"""Where the commands run, as one value, so that tests give them another place."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import boto3
import httpx2

from infra import environments
from infra.environments import Organisation
from infra.operate.exceptions import Refused

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Site:
    root: Path
    """The repository's folder."""
    organisation: Organisation
    environ: Mapping[str, str]
    is_terminal: bool
    """Somebody can answer a question."""
    session: Callable[[], boto3.Session] = boto3.Session
    """Makes what clients of AWS are made from: once for a command, and not before it needs one."""
    hcp_transport: httpx2.BaseTransport | None = None
    """How HCP Terraform is reached, if not over the network."""

    @classmethod
    def of_process(cls) -> Self:
        return cls(
            root=ROOT, organisation=environments.ORGANISATION, environ=os.environ, is_terminal=sys.stdin.isatty()
        )

    def synthesized(self, environment: str) -> Path:
        """Where the apps write an environment's stacks by default: a folder below it for each app."""
        return self.root / ".local" / "infra" / environment

    def terraform(self) -> str:
        """Raises Refused if it is not there."""
        found = shutil.which("terraform", path=self.environ.get("PATH"))
        if found is None:
            raise Refused("there is no terraform on the PATH; install 1.11 or newer, from developer.hashicorp.com")
        return found
