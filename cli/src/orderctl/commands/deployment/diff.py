"""`orderctl diff`: what a deployment would change."""

from typing import Annotated

import typer

from orderctl.commands.deployment.answers import answer_json
from orderctl.commands.deployment.options import EnvOption, JsonOption, ServiceArgument, announce, reported
from orderctl.deploy.images import REVISION_LABEL, VERSION_LABEL, Image
from orderctl.deploy.site import Site
from orderctl.terminal import console


def diff(
    service: ServiceArgument,
    *,
    env: EnvOption,
    tag: Annotated[str, typer.Option("--tag", help="The image that would be deployed.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Show what is live beside what would be: digest, commit, version, when it was
    pushed.

    \b
    orderctl diff order-api --env prod --tag live-uat
    git log $(orderctl diff order-api --env prod --tag live-uat --json |
        jq -r .commits)

    """
    with reported():
        site = Site.open(env, service)
        announce(site, f"what {tag} would change")
        new = site.images.get(tag)
        digest = site.images.digest_of(site.place.live_tag)
        now, then = _told(site, site.images.get(digest) if digest else None), _told(site, new)
    changes, commits = digest != new.digest, f"{now['commit']}..{then['commit']}"
    if as_json:
        answer_json({"now": now, "then": then, "changes": changes, "commits": commits})
        return
    for name, told in (("now", now), ("then", then)):
        console.print(f"{name:<8} {told['digest']}  {told['version']}  pushed {told['pushed']}", soft_wrap=True)
    console.print(f"commits  {commits}" if changes else "nothing would change")


def _told(site: Site, image: Image | None) -> dict[str, str]:
    if image is None:
        return dict.fromkeys(("digest", "commit", "version", "pushed"), "none")
    labels = site.images.labels_of(image)
    return {
        "digest": image.digest,
        "commit": labels.get(REVISION_LABEL) or image.commit or "unknown",
        "version": labels.get(VERSION_LABEL, "without a version"),
        "pushed": image.pushed_at.isoformat(timespec="minutes") if image.pushed_at else "at an unknown time",
    }
