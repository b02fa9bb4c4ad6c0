"""`orderctl env`: the commands of infra.operate, which create, change and destroy environments from a checkout."""

import runpy
import sys
from pathlib import Path

import typer

from orderctl.exceptions import UsageError
from orderctl.terminal import reported

VERBS = {
    "bootstrap": "Create the buckets for Terraform's state.",
    "init": "Give a new environment its first secrets and images.",
    "plan": "Show what `apply` would change.",
    "apply": "Create an environment, or change it to match the code.",
    "destroy": "Destroy an environment and all its data.",
    "gc": "Destroy the feature environments whose branch is deleted.",
    "outputs": "Print the outputs of the stacks as JSON.",
    "synth": "Write the stacks as Terraform JSON.",
    "costs": "Show the monthly costs of the environments.",
    "unlock": "Release the locks that killed runs have left on Terraform's states.",
    "warm": "Raise the throughput of the tables before a sale.",
}

app = typer.Typer(
    no_args_is_help=True,
    help="""Create, change and destroy environments with Terraform.

    Run these commands anywhere inside a checkout of the repository, after
    `make setup-infra`. From an empty account:

    \b
    orderctl env bootstrap --env dev
    orderctl env apply --env dev --only supporting
    (push the images, as sha-…)
    orderctl env init --env dev --tag sha-…
    orderctl env apply --env dev --only services

    `orderctl env COMMAND --help` shows a command's options, examples and exit
    codes.
    """,
)


def _run(context: typer.Context) -> None:
    """Run the command of the same name from the checkout's `infra.operate`, in this process."""
    with reported():
        sys.path.insert(0, str(_checkout()))
    sys.argv = ["orderctl env", str(context.info_name), *context.args]
    runpy.run_module("infra.operate", run_name="__main__")


def _checkout() -> Path:
    """Return the root folder of the checkout that contains the current folder. Raises UsageError if there is none."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "infra" / "operate" / "__main__.py").is_file():
            return folder
    raise UsageError(
        f"{here} is not inside a checkout of the repository, which `orderctl env` needs: clone the repository, run "
        "`make setup-infra` in it, and run this command there"
    )


for verb, meaning in VERBS.items():
    app.command(
        verb,
        help=meaning,
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(_run)
