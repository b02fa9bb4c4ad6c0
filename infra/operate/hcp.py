"""Client of HCP Terraform that finds the workspaces with resources."""

import json
from pathlib import Path

import httpx2

from aws_json_client.proxies import proxy_for
from infra.operate.context import OperateContext
from infra.stacks import PROJECT
from orderctl.exceptions import Failed, Refused

HOST = "app.terraform.io"
API = f"https://{HOST}/api/v2"
TOKEN_VARIABLE = "TF_TOKEN_app_terraform_io"  # noqa: S105 - Terraform's name for it
PAGE_SIZE = 100  # the API's limit
TIMEOUT_SECONDS = 30.0


def workspaces_with_resources(context: OperateContext, organisation: str) -> list[str]:
    """Return the names of this project's workspaces that have at least one resource.

    Raises:
        Refused: without a token that HCP Terraform accepts for this organisation.
        Failed: if the request fails.
    """
    headers = {"Authorization": f"Bearer {_token(context)}"}
    names: list[str] = []
    page: int | None = 1
    try:
        transport = context.hcp_transport or httpx2.HTTPTransport(proxy=proxy_for(API))
        with httpx2.Client(base_url=API, headers=headers, transport=transport, timeout=TIMEOUT_SECONDS) as client:
            while page is not None:
                answer = client.get(
                    f"/organizations/{organisation}/workspaces",
                    params={"search[name]": PROJECT, "page[number]": page, "page[size]": PAGE_SIZE},
                )
                if answer.status_code in (401, 403, 404):
                    raise Refused(f"HCP Terraform has no organisation {organisation} that this token may read")
                content = answer.raise_for_status().json()
                names += [
                    each["attributes"]["name"] for each in content["data"] if each["attributes"]["resource-count"] > 0
                ]
                page = content["meta"]["pagination"]["next-page"]
    except httpx2.HTTPError as error:
        raise Failed(f"HCP Terraform: {error}") from error
    return names


def _token(context: OperateContext) -> str:
    """Return the token from the environment variable, or else from the file of `terraform login`. Raises Refused."""
    if token := context.environ.get(TOKEN_VARIABLE):
        return token
    file = Path(context.environ.get("HOME") or "/") / ".terraform.d" / "credentials.tfrc.json"
    try:
        return str(json.loads(file.read_text())["credentials"][HOST]["token"])
    except (OSError, ValueError, KeyError) as error:
        raise Refused(f"there is no token for HCP Terraform: run `terraform login`, or set {TOKEN_VARIABLE}") from error
