"""`orderctl finish`: follow a deployment to its end, move the tags, and judge the result."""

from orderctl.commands.deployment.options import (
    AutoOption,
    EnvOption,
    ServiceArgument,
    TestUrlOption,
    announce,
)
from orderctl.commands.deployment.running import DeployOptions, finish_deployment
from orderctl.deploy.context import DeployContext
from orderctl.terminal import Output, OutputOption, ReasonOption, reported


def finish(
    service: ServiceArgument,
    *,
    env: EnvOption,
    auto: AutoOption = False,
    reason: ReasonOption = None,
    test_url: TestUrlOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Follow the deployment under way to its end, and move the tags to the running image.

    \b
    orderctl finish order-api --env dev --auto

    It starts no deployment. It follows one that another command started and lost,
    or that Terraform started, tests green and decides at the pause as `deploy`
    does. Without a deployment under way it only moves the tags. Then it judges the
    newest deployment: it fails if that was rolled back or stopped, or if the
    service has an older task definition than the newest.

    Exit codes: 0 the newest deployment succeeded, 1 it did not, 3 refused, 4 paused
    with no terminal to ask at, 130 interrupted.
    """
    with reported("ECS continues the deployment"):
        context = DeployContext.open(env, service)
        announce(context, "finish the deployment under way, if there is one")
        finish_deployment(
            context,
            DeployOptions(
                auto=auto,
                wait=True,
                dry_run=False,
                yes=True,
                reason=reason or "finish a deployment",
                test_url=test_url,
                output=output,
            ),
        )
