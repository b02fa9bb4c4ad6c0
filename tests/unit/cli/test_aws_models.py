"""What is added to botocore's model of ECS is found, is what AWS's newer model says, and is still missing there."""

import json
from typing import Any

import aioboto3
import botocore.session
import pytest
from aiobotocore.session import AioSession

from orderctl import aws_models

EXTRAS = aws_models.DIRECTORY / "ecs" / "2014-11-13" / "service-2.sdk-extras.json"


@pytest.fixture(scope="module")
def installed() -> dict[str, Any]:
    """The model of the installed botocore, without our additions."""
    loader = botocore.session.Session().get_component("data_loader")
    return dict(loader.load_service_model("ecs", "service-2"))


@pytest.fixture(scope="module")
def added() -> dict[str, Any]:
    return dict(json.loads(EXTRAS.read_text())["merge"])


def test_a_client_continues_a_paused_deployment() -> None:
    session: Any = aws_models.session(region="eu-central-1", access_key="k", secret_key="s")  # the stubs have no ecs
    client = session.client("ecs")
    model = client.meta.service_model
    client.close()

    assert callable(client.continue_service_deployment)
    assert "lifecycleHookDetails" in model.shape_for("ServiceDeployment").members
    assert {"targetType", "timeoutConfiguration"} <= model.shape_for("DeploymentLifecycleHook").members.keys()


async def test_an_aiobotocore_session_can_be_taught() -> None:
    session = aws_models.register_models(AioSession())
    opened: Any = aioboto3.Session(
        botocore_session=session, region_name="eu-central-1", aws_access_key_id="k", aws_secret_access_key="s"
    )

    async with opened.client("ecs") as client:
        assert callable(client.continue_service_deployment)


def test_the_installed_botocore_does_not_know_it_yet(installed: dict[str, Any]) -> None:
    """When this fails, `aws_models` can go: use botocore's own sessions."""
    assert "ContinueServiceDeployment" not in installed["operations"]


def test_only_what_is_missing_is_added(installed: dict[str, Any], added: dict[str, Any]) -> None:
    known = installed["shapes"]

    assert not added["operations"].keys() & installed["operations"].keys()
    for name, shape in added["shapes"].items():
        if name not in known:
            continue
        assert shape.keys() <= {"members", "enum"}, name
        assert not shape.get("members", {}).keys() & known[name].get("members", {}).keys(), name
        assert set(shape.get("enum", ())) >= set(known[name].get("enum", ())), name


def test_what_is_added_is_whole(installed: dict[str, Any], added: dict[str, Any]) -> None:
    """A shape that is named is there, in ours or in botocore's."""
    shapes = installed["shapes"].keys() | added["shapes"].keys()

    assert set(_named(added)) <= shapes


def _named(part: Any) -> list[str]:
    if isinstance(part, list):
        return [name for each in part for name in _named(each)]
    if not isinstance(part, dict):
        return []
    own = [part["shape"]] if isinstance(part.get("shape"), str) else []
    return own + [name for each in part.values() for name in _named(each)]
