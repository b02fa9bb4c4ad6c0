"""Command line that both CDK apps share."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cdktn import App

from infra.environments import Environment, Provisioned, UnknownEnvironment, environment_of

TERRAFORM_VERSIONS = ">= 1.10"
"""Terraform versions that can lock a state in S3 without a DynamoDB table."""


def write(build: Callable[[App, Environment], None], environment: Environment, out: Path) -> None:
    """Write `out/stacks/<stack>/cdk.tf.json` for each stack that `build` creates."""
    out.mkdir(parents=True, exist_ok=True)
    app = App(outdir=str(out), context={"targetVersions": {"terraform": TERRAFORM_VERSIONS}})
    build(app, environment)
    app.synth()


def synthesize(build: Callable[[App, Environment], None], description: str | None) -> None:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--env", required=True, help="dev, uat, prod or feat-…")
    parser.add_argument("--out", required=True, type=Path, help="the folder to write to")
    parser.add_argument(
        "--indexes-change", action="store_true", help="let Terraform write the indexes of provisioned tables"
    )
    arguments = parser.parse_args()
    try:
        environment = environment_of(arguments.env)
    except UnknownEnvironment as unknown:
        sys.exit(str(unknown))
    if arguments.indexes_change and isinstance(environment.billing, Provisioned):
        environment = replace(environment, billing=replace(environment.billing, indexes_change=True))
    write(build, environment, arguments.out)
