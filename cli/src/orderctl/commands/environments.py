"""`orderctl env`: the verbs of infra.operate, which create, change and destroy whole environments from a checkout."""

import runpy
import sys
from pathlib import Path

import typer

from orderctl.exceptions import UsageError
from orderctl.terminal import reported

VERBS = {
    "bootstrap": "Make the buckets for Terraform's state.",
    "init": "Give a new environment its first secrets and images.",
    "plan": "Show what `apply` would change.",
    "apply": "Create or change an environment, so that it is as the code says.",
    "destroy": "Destroy an environment, with all that it stores.",
    "gc": "Destroy the feature environments whose branch is gone.",
    "outputs": "Print what the stacks publish, as JSON.",
    "synth": "Write the stacks as Terraform's JSON.",
    "costs": "Show what the environments cost a month.",
    "warm": "Raise the throughput of the tables before a sale.",
}

app = typer.Typer(
    no_args_is_help=True,
    help="""Create, change and destroy whole environments, by Terraform.

    These verbs need a checkout of the repository, with `make setup-infra` done.
    Give them from anywhere inside it. From an empty account:

    \b
    orderctl env bootstrap --env dev
    orderctl env apply --env dev --only supporting
    (push the images, as sha-…)
    orderctl env init --env dev --tag sha-…
    orderctl env apply --env dev --only services

    `orderctl env VERB --help` has each verb's options, examples and exit codes.
    """,
)


def _run(context: typer.Context) -> None:
    """Run the verb as the checkout has it, in this process."""
    with reported():
        sys.path.insert(0, str(_checkout()))
    sys.argv = ["orderctl env", str(context.info_name), *context.args]
    runpy.run_module("infra.operate", run_name="__main__")


def _checkout() -> Path:
    """Return the checkout around the current folder. Raises UsageError."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "infra" / "operate" / "__main__.py").is_file():
            return folder
    raise UsageError(
        f"{here} is in no checkout of the repository, which these verbs need: clone it, run `make setup-infra` in it, "
        "and give this command there"
    )


for verb, meaning in VERBS.items():
    app.command(
        verb,
        help=meaning,
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(_run)
