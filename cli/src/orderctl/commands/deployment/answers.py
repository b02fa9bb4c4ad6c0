"""What a verb answers on stdout: lines, or one JSON document."""

import json
from collections.abc import Mapping, Sequence

from orderctl.deploy.checks import Check, passed
from orderctl.deploy.engine import Outcome
from orderctl.deploy.fleet import Deployment
from orderctl.deploy.freeze import Pause
from orderctl.deploy.site import Site
from orderctl.terminal import console

Row = str | int | bool | None


def answer(rows: Mapping[str, Row], *, as_json: bool) -> None:
    if as_json:
        answer_json(rows)
        return
    width = max(map(len, rows))
    for name, value in rows.items():
        console.print(f"  {name:<{width}}  {_shown(value)}", soft_wrap=True)


def answer_json(document: object) -> None:
    console.print(json.dumps(document, indent=2), soft_wrap=True)


def of_outcome(site: Site, outcome: Outcome) -> dict[str, Row]:
    deployment = outcome.deployment
    return {
        **_of(site),
        "deployment": deployment.id if deployment else None,
        "status": str(deployment.status) if deployment else None,
        "image": outcome.digest,
        "before": outcome.before,
        "changed": outcome.changed and outcome.is_live,
        "over": outcome.over,
    }


def of_deployment(site: Site, deployment: Deployment) -> dict[str, Row]:
    return {
        **_of(site),
        "deployment": deployment.id,
        "status": str(deployment.status),
        "stage": str(deployment.stage) if deployment.stage else None,
    }


def of_pause(site: Site, pause: Pause | None) -> dict[str, Row]:
    return {**_of(site), "paused": pause.reason if pause else None, "by": pause.actor if pause else None}


def of_checks(site: Site, digest: str, checks: Sequence[Check]) -> dict[str, object]:
    """Of what was only looked at."""
    return {
        **_of(site),
        "image": digest,
        "ready": passed(checks),
        "checks": [{"name": check.name, "verdict": check.verdict, "detail": check.detail} for check in checks],
    }


def _of(site: Site) -> dict[str, Row]:
    return {"environment": site.place.environment, "service": str(site.place.kind)}


def _shown(value: Row) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
