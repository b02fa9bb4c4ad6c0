"""State in HCP Terraform instead of a bucket: its own list of workspaces says what stands."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from infra.stacks import Stack
from tests.infra.conftest import BUCKET, HOME, Desk, stacks_named


def workspaces(*pages: list[tuple[str, int]]) -> Callable[[httpx2.Request], httpx2.Response]:
    """HCP Terraform's answers: names, and how many resources each holds."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/api/v2/organizations/shop/workspaces"
        if request.headers["Authorization"] != "Bearer ours":
            return httpx2.Response(404, json={"errors": []})
        number = int(request.url.params["page[number]"])
        data: list[dict[str, Any]] = [
            {"attributes": {"name": name, "resource-count": count}} for name, count in pages[number - 1]
        ]
        following = number + 1 if number < len(pages) else None
        return httpx2.Response(200, json={"data": data, "meta": {"pagination": {"next-page": following}}})

    return answer


def named(stacks: tuple[Stack, ...], resources: int = 3) -> list[tuple[str, int]]:
    return [(stack.workspace, resources) for stack in stacks]


@pytest.fixture
def hosted(desk: Desk) -> Callable[[Callable[[httpx2.Request], httpx2.Response]], Desk]:
    desk.s3.delete_bucket(Bucket=BUCKET)
    desk.pretend(hcp_organisation="shop")

    def with_answers(answer: Callable[[httpx2.Request], httpx2.Response]) -> Desk:
        environ = {**desk.context.environ, "TF_TOKEN_app_terraform_io": "ours"}
        desk.context = replace(desk.context, environ=environ, hcp_transport=httpx2.MockTransport(answer))
        return desk

    return with_answers


Hosted = Callable[[Callable[[httpx2.Request], httpx2.Response]], Desk]


def test_apply_tells_terraform_of_no_bucket(hosted: Hosted) -> None:
    desk = hosted(workspaces([]))
    result = desk.run("apply", "--env", "dev", "--yes")
    assert result.exit_code == 0, result.output
    assert "HCP Terraform, organisation shop" in result.stderr
    init = desk.calls()[0]
    assert init["arguments"] == ["init", "-no-color", "-input=false"]  # -reconfigure is for buckets only
    assert not any(name.startswith("TF_VAR_") for name in init["environ"])


def test_destroy_takes_what_holds_resources(hosted: Hosted) -> None:
    registry, supporting, api, *workers = stacks_named("dev")
    pages = (named((registry, supporting)), named((api,)), [*named(tuple(workers), 0), ("order-platform-notes", 1)])
    desk = hosted(workspaces(*pages))
    assert desk.run("destroy", "--env", "dev", "--yes").exit_code == 0
    assert desk.applied() == [api.name, supporting.name]


def test_a_host_stays_while_feature_environments_stand(hosted: Hosted) -> None:
    desk = hosted(workspaces(named(stacks_named("dev")), named(stacks_named("feat-login")[:1])))
    result = desk.run("destroy", "--env", "dev", "--yes")
    assert result.exit_code == 3
    assert "destroy --env feat-login" in result.stderr


def test_gc_finds_feature_environments(hosted: Hosted) -> None:
    desk = hosted(workspaces(named(stacks_named("feat-login")), named(stacks_named("feat-old"))))
    assert desk.run("gc", "--yes", "--keep", "feat-login").exit_code == 0
    assert desk.applied() == [
        f"{kind}-{HOME}" for kind in ("order-notifier", "order-processor", "order-api", "supporting")
    ]


def test_what_a_stack_reads_is_known_by_its_workspace(hosted: Hosted) -> None:
    desk = hosted(workspaces([]))
    source = {"organization": "shop", "workspaces": {"name": stacks_named("dev")[1].workspace}}
    stack = {"data": {"terraform_remote_state": {"supporting": {"config": source}}}}
    made_up = {"dev": {"services": {f"order-api-{HOME}": stack}}}
    (desk.here / "stacks.json").write_text(json.dumps(made_up))
    result = desk.run("apply", "--env", "dev", "--only", "order-api", "--yes")
    assert result.exit_code == 3
    assert f"reads the outputs of supporting-{HOME} of dev" in result.stderr


def test_the_token_of_terraform_login_is_found(hosted: Hosted) -> None:
    desk = hosted(workspaces([]))
    environ = {name: value for name, value in desk.context.environ.items() if not name.startswith("TF_TOKEN")}
    desk.context = replace(desk.context, environ=environ)
    result = desk.run("gc")
    assert result.exit_code == 3
    assert "terraform login" in result.stderr
    folder = desk.here.parent / ".terraform.d"
    folder.mkdir()
    written = {"credentials": {"app.terraform.io": {"token": "ours"}}}
    (folder / "credentials.tfrc.json").write_text(json.dumps(written))
    assert desk.run("gc").exit_code == 0


def test_a_token_that_is_not_theirs(hosted: Hosted) -> None:
    desk = hosted(workspaces([]))
    desk.context = replace(desk.context, environ={**desk.context.environ, "TF_TOKEN_app_terraform_io": "another"})
    result = desk.run("gc")
    assert result.exit_code == 3
    assert "no organisation shop that this token may read" in result.stderr


def test_no_answer(hosted: Hosted) -> None:
    def answer(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("the network is down")

    result = hosted(answer).run("gc")
    assert result.exit_code == 1
    assert "HCP Terraform: the network is down" in result.stderr
