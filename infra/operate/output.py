"""`output`: what an environment's stacks publish."""

import json
from typing import Any

import typer

from infra.operate.console import reported
from infra.operate.options import EnvOption, OnlyOption, RegionOption, environment_named
from infra.operate.request import Request, Verb
from infra.operate.work import Work, prepare
from infra.stacks import Stack

HIDDEN = "(sensitive)"


def output(ctx: typer.Context, env: EnvOption, only: OnlyOption = None, region: RegionOption = None) -> None:
    """Print what the stacks of an environment publish, as one JSON object on
    stdout.

    Its members are the stacks that stand, each with its outputs. Sensitive
    values are left out. All else that this says goes to stderr, so that a
    program can read the object:

    \b
    python -m infra.operate output --env dev | jq -r '."supporting-eu-central-1"'

    Ends with 0 if all went well, 1 if it could not be done, 2 if it was asked
    for wrongly or something is missing (Terraform, credentials, the state
    bucket), 130 if it was interrupted.
    """
    with reported():
        request = Request(verb=Verb.OUTPUT, environment=environment_named(env), only=only, region=region)
        work = prepare(ctx.obj, request)
        typer.echo(json.dumps({stack.name: _outputs(work, stack) for stack in work.stacks}, indent=2))


def _outputs(work: Work, stack: Stack) -> dict[str, Any]:
    work.terraform.init(stack, quiet=True)
    return {
        name: HIDDEN if each["sensitive"] else each["value"] for name, each in work.terraform.outputs(stack).items()
    }
