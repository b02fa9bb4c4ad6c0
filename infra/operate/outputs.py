"""`outputs`: print the outputs of an environment's stacks."""

import json
from typing import Any

import typer

from infra.operate.environment_plan import EnvironmentPlan, prepare
from infra.operate.options import EnvOption, OnlyOption, RegionOption, environment_named
from infra.operate.request import Request, Verb
from infra.stacks import Stack
from orderctl.terminal import reported

HIDDEN = "(sensitive)"


def outputs(ctx: typer.Context, env: EnvOption, only: OnlyOption = None, region: RegionOption = None) -> None:
    """Print the outputs of an environment's stacks as one JSON object on stdout.

    Its members are the existing stacks, each with its outputs, without sensitive
    values. Everything else goes to stderr, so that a program can read the object:

    \b
    orderctl env outputs --env dev | jq -r '."supporting-eu-central-1"'

    Exit codes: 0 done, 1 failed, 2 usage, 3 refused: a prerequisite is missing
    (Terraform, credentials, the state bucket), 130 interrupted.
    """
    with reported():
        request = Request(verb=Verb.OUTPUTS, environment=environment_named(env), only=only, region=region)
        plan = prepare(ctx.obj, request)
        typer.echo(json.dumps({stack.name: _outputs(plan, stack) for stack in plan.stacks}, indent=2))


def _outputs(plan: EnvironmentPlan, stack: Stack) -> dict[str, Any]:
    plan.terraform.init(stack, quiet=True)
    return {
        name: HIDDEN if each["sensitive"] else each["value"] for name, each in plan.terraform.outputs(stack).items()
    }
