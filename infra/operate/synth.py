"""`synth`: write an environment's stacks as Terraform JSON."""

from pathlib import Path
from typing import Annotated

import typer

from infra.operate.options import EnvOption, environment_named
from infra.operate.synthesis import synthesize
from infra.stacks import App
from orderctl.terminal import console, reported


def synth(
    ctx: typer.Context,
    env: EnvOption,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write to; by default .local/infra/ENV.")] = None,
) -> None:
    """Write the stacks of an environment as Terraform JSON. Needs no AWS account and
    no Terraform.

    Both apps run at once, in infra's own virtual environment. Each stack is a
    folder OUT/{supporting,services}/stacks/STACK with the file `cdk.tf.json`.
    `plan`, `apply` and `destroy` do this by themselves.

    \b
    orderctl env synth --env dev
    orderctl env synth --env feat-login --out build

    Exit codes: 0 all stacks were written, 1 an app failed, 2 usage, 3 infra's
    virtual environment is missing.
    """
    with reported():
        environment = environment_named(env)
        folder = out.resolve() if out else ctx.obj.synthesized(environment.name)
        synthesis = synthesize(ctx.obj, environment, folder, list(App))
        for file in synthesis.written:
            console.print(f"{file.parent.name:<32} {file}")
        console.print(f"{len(synthesis.written)} stacks of {environment.name}, in {synthesis.seconds:.1f} s")
