"""`python -m infra.operate VERB`: one file for each verb; what a verb does is told by its --help."""

import typer

from infra.operate.begin import begin
from infra.operate.bootstrap import bootstrap
from infra.operate.deploy import deploy
from infra.operate.destroy import destroy
from infra.operate.output import output
from infra.operate.plan import plan
from infra.operate.reap import reap
from infra.operate.site import Site
from infra.operate.synth import synth
from infra.operate.warm import warm

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
for verb in (bootstrap, synth, plan, deploy, begin, warm, destroy, output, reap):
    app.command()(verb)


@app.callback()
def main() -> None:
    """Deploy and destroy environments: Terraform on the stacks of infra/supporting
    and infra/services.

    Which environments there are, and what each of them is, stands in
    infra/environments.py. From an empty account:

    \b
    python -m infra.operate bootstrap --env dev
    python -m infra.operate deploy --env dev --only supporting
    (push the images, as sha-…)
    python -m infra.operate begin --env dev --tag sha-…
    python -m infra.operate deploy --env dev --only services

    Credentials are AWS's own: a profile, the environment, a role.
    ORDER_ACCOUNT_ID, if it is set, refuses any account but that one.
    """


if __name__ == "__main__":
    app(obj=Site.of_process(), prog_name="python -m infra.operate")
