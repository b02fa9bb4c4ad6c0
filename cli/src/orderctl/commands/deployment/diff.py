"""`orderctl diff`: what a deployment would change."""

from typing import Annotated

import typer

from order_operations.deployments.ecr_repository import REVISION_LABEL, VERSION_LABEL, Image
from orderctl.commands.deployment.options import UNCHANGED, EnvOption, ServiceArgument, announce
from orderctl.deploy.context import DeployContext
from orderctl.terminal import Output, OutputOption, console, print_json, reported


def diff(
    service: ServiceArgument,
    *,
    env: EnvOption,
    tag: Annotated[str, typer.Option("--tag", help="Tag or digest of the image to compare.", show_default=False)],
    output: OutputOption = Output.TEXT,
) -> None:
    """Compare the live image with another one: digest, commit, version, and the time
    of the push.

    \b
    orderctl diff order-api --env prod --tag live-uat
    git log $(orderctl diff order-api --env prod --tag live-uat --output json |
        jq -r .commits)

    """
    with reported(UNCHANGED):
        context = DeployContext.open(env, service)
        announce(context, f"compare {tag} with the live image")
        new = context.repository.get(tag)
        digest = context.repository.digest_of(context.ref.live_tag)
        now, then = _described(context, context.repository.get(digest) if digest else None), _described(context, new)
    changes, commits = digest != new.digest, f"{now['commit']}..{then['commit']}"
    if output is Output.JSON:
        print_json({"now": now, "then": then, "changes": changes, "commits": commits})
        return
    for name, image in (("now", now), ("then", then)):
        console.print(f"{name:<8} {image['digest']}  {image['version']}  pushed {image['pushed']}")
    console.print(f"commits  {commits}" if changes else "nothing would change")


def _described(context: DeployContext, image: Image | None) -> dict[str, str]:
    if image is None:
        return dict.fromkeys(("digest", "commit", "version", "pushed"), "none")
    labels = context.repository.labels_of(image)
    return {
        "digest": image.digest,
        "commit": labels.get(REVISION_LABEL) or image.commit or "unknown",
        "version": labels.get(VERSION_LABEL, "without a version"),
        "pushed": image.pushed_at.isoformat(timespec="minutes") if image.pushed_at else "at an unknown time",
    }
