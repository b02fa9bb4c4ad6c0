"""One round of generated requests, by schemathesis' command line in a process of its own."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from devstack.issuer import ALL_SCOPES
from devstack.stack import running_stack
from tests.fuzz.hooks import RECORD

ROOT = Path(__file__).parents[2]
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
CONFIG = Path(__file__).parent / "schemathesis.toml"
GENEROUS = {"ORDER_RATE_LIMIT_PER_SECOND": "100000", "ORDER_RATE_LIMIT_BURST": "100000"}
"""So that most requests get beyond the limit of their tenant."""

TENANT = "acme"
MORE_SCOPES = "orders:act orders:admin webhooks:write"
"""Scopes for the header Order-Customer, which generated requests have too, and for the orders of the tenant."""
SKU = "TEA-GREEN-100"
"""The one of the document's examples: what is ordered there exists."""


ENDLESS = "/stream$"
"""Paths whose responses do not end. tests/unit/api/test_event_streams.py has their valid and invalid requests."""
PHASES = "examples,coverage,fuzzing,stateful"
"""All phases. Only the requests of the last contain ids and times from responses."""


@dataclass(frozen=True)
class Target:
    api: str
    token: str


@dataclass(frozen=True)
class Round:
    """`output` is schemathesis' own report."""

    seed: int
    cases: int
    holds: bool
    output: str
    seconds: float


@contextmanager
def fuzzed_stack(state: Path) -> Iterator[Target]:
    """A stack with something to buy."""
    with running_stack(state, overrides=GENEROUS) as stack:
        target = Target(stack.api, stack.issuer.token(TENANT, "ada", f"{ALL_SCOPES} {MORE_SCOPES}"))
        headers = {"Authorization": f"Bearer {target.token}", "Idempotency-Key": "fuzz"}
        product = {"name": "Green tea, 100 g", "unit_price": 590, "currency": "EUR"}
        with httpx2.Client(base_url=target.api, headers=headers) as http:
            http.put(f"/v1/products/{SKU}", json=product).raise_for_status()
            http.post(f"/v1/products/{SKU}/stock", json={"delta": 1_000_000}).raise_for_status()
        yield target


def run_round(target: Target, seed: int, examples: int, folder: Path, phases: str = PHASES) -> Round:
    """Send so many generated examples of each operation, in the given phases."""
    started = time.monotonic()
    done = subprocess.run(
        [
            str(SCHEMATHESIS),
            f"--config-file={CONFIG}",
            "--no-color",
            "run",
            f"{target.api}/openapi.json",
            "--checks=all",
            f"--exclude-path-regex={ENDLESS}",
            f"--phases={phases}",
            f"--header=Authorization: Bearer {target.token}",
            f"--max-examples={examples}",
            f"--seed={seed}",
            "--generation-database=none",
        ],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
            RECORD: str(folder / f"{seed}.jsonl"),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    generated = re.search(r"(\d+) generated", done.stdout)
    cases = int(generated[1]) if generated else 0
    return Round(seed, cases, done.returncode == 0 and cases > 0, done.stdout, time.monotonic() - started)
