"""The stacks of dev, judged by Terraform itself and the provider's schema, where the registry can be reached."""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.infra.synthesis import ROOT, folder_of, stacks

REGISTRY = ("registry.terraform.io", 443)
CONNECT_SECONDS = 3.0
SECONDS = 120

PLUGINS = ROOT / ".local" / "terraform" / "plugins"
"""Where the operator's commands keep the provider too: it is large, and fetched once."""

SETTINGS = {
    "CHECKPOINT_DISABLE": "1",
    "TF_IN_AUTOMATION": "1",
    "TF_PLUGIN_CACHE_DIR": str(PLUGINS),
    # Without a lock file beside the stack, it would be fetched for each stack again.
    "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1",
}

Json = dict[str, Any]


def unreachable() -> str | None:
    """Why this cannot run here; None if it can."""
    if shutil.which("terraform") is None:
        return "no terraform on the path"
    try:
        socket.create_connection(REGISTRY, CONNECT_SECONDS).close()
    except OSError as error:
        return f"{REGISTRY[0]} cannot be reached: {error}"
    return None


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["terraform", f"-chdir={folder}", *arguments],
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_terraform_takes_devs_stacks(tmp_path: Path) -> None:
    reason = unreachable()
    if reason is not None:
        pytest.skip(reason)
    PLUGINS.mkdir(parents=True, exist_ok=True)
    for stack in stacks():
        if stack.variant != "dev":
            continue
        folder = tmp_path / stack.name
        shutil.copytree(folder_of(stack), folder)
        made = terraform(folder, "init", "-backend=false", "-input=false", "-no-color")
        assert made.returncode == 0, f"{stack}: {made.stderr}"
        said: Json = json.loads(terraform(folder, "validate", "-json").stdout)
        assert said["valid"], f"{stack}: {said['diagnostics']}"
