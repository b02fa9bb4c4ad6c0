"""`orderctl env COMMAND`, or `python -m infra.operate COMMAND`: one file for each command."""

from collections.abc import Mapping
from typing import ClassVar

import typer

from infra.operate.apply import apply
from infra.operate.bootstrap import bootstrap
from infra.operate.context import OperateContext
from infra.operate.costs import costs
from infra.operate.destroy import destroy
from infra.operate.gc import gc
from infra.operate.init import init
from infra.operate.outputs import outputs
from infra.operate.plan import plan
from infra.operate.synth import synth
from infra.operate.unlock import unlock
from infra.operate.warm import warm
from orderctl.terminal import RenamedGroup


class Commands(RenamedGroup):
    """Commands of `orderctl env`, which also accepts their names in the last release."""

    renamed: ClassVar[Mapping[str, str]] = {"begin": "init", "deploy": "apply", "output": "outputs", "reap": "gc"}


app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
for verb in (bootstrap, init, plan, apply, destroy, gc, outputs, synth, costs, warm, unlock):
    app.command()(verb)


@app.callback()
def main() -> None:
    """Create, change and destroy environments, with Terraform on the stacks of
    infra/supporting and infra/services.

    infra/environments.py defines the environments. From an empty account:

    \b
    orderctl env bootstrap --env dev
    orderctl env apply --env dev --only supporting
    (push the images, as sha-…)
    orderctl env init --env dev --tag sha-…
    orderctl env apply --env dev --only services

    Credentials come from AWS's own sources: a profile, the environment, a role. If
    ORDER_ACCOUNT_ID is set, the commands refuse every other account.
    """


if __name__ == "__main__":
    app(obj=OperateContext.of_process(), prog_name="orderctl env")
