"""The smoke test goes the way of a customer: through the listener, by its rules, to whichever colour they name."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.integration.deploy_desk import API, FIRST, SECOND, Desk, GreenSide

DONE, FAILED = range(2)
TOKEN = "of-a-test-tenant"


@pytest.fixture
def blue(desk: Desk) -> Iterator[GreenSide]:
    """What answers in place of the tasks of FIRST."""
    side = GreenSide(FIRST.removeprefix("sha-"))
    with side.serve():
        desk.ecs.routing.serve(side.url, desk.digest(FIRST))
        yield side


def use_token(desk: Desk) -> None:
    desk.environment["ORDER_SMOKE_TOKEN"] = TOKEN


@pytest.mark.parametrize(
    "path", ["/readyz", "/serving", "/healthz", "/metrics", "/docs", "/openapi.json", "/V1/orders"]
)
def test_what_no_rule_names_is_not_there(desk: Desk, path: str) -> None:
    assert httpx2.get(f"{desk.test_url}{path}").status_code == 404
    assert desk.green.asked == 0


def test_what_production_exposes_is_there_under_its_host_only(desk: Desk) -> None:
    assert httpx2.get(f"{desk.test_url}/v1/orders").status_code == 401
    assert httpx2.get(f"{desk.test_url}/v1/orders?path=/metrics").status_code == 401
    assert httpx2.get(f"{desk.test_url.replace('api.', 'other.')}/v1/orders").status_code == 404


def test_a_smoke_test_names_the_release_that_has_answered(desk: Desk, blue: GreenSide) -> None:
    use_token(desk)
    ended = desk.deploy(SECOND)
    assert ended.exit_code == DONE, ended.output
    assert f"OK   release: {SECOND.removeprefix('sha-')}" in ended.stderr
    assert (blue.asked, desk.waits) == (0, 0)


def test_a_test_listener_that_answers_from_the_other_colour_fails_the_test(desk: Desk, blue: GreenSide) -> None:
    use_token(desk)
    desk.on_look = lambda: send_tests_to_blue(desk)
    ended = desk.deploy(SECOND)
    told = f"FAIL release: release {blue.release} responded instead of {desk.green.release}"
    assert (ended.exit_code, told in ended.stderr) == (FAILED, True), ended.output
    assert desk.state() == (desk.digest(FIRST),) * 2


def test_an_image_that_is_not_the_one_deployed_fails_the_test(desk: Desk) -> None:
    use_token(desk)
    desk.green.release = "0000000"
    ended = desk.deploy(SECOND)
    assert (ended.exit_code, "release 0000000 responded instead of" in ended.stderr) == (FAILED, True), ended.output


def send_tests_to_blue(desk: Desk) -> None:
    """As a rule that the load balancer has not followed yet."""
    balancing = desk.ecs.engine.state.services[desk.ref.cluster, API].balancing
    assert balancing is not None
    assert balancing.test_rule is not None
    production, test = balancing.production_rule, balancing.test_rule
    elbv2 = desk.ecs.cloud.elbv2
    actions = elbv2.describe_rules(RuleArns=[production])["Rules"][0]["Actions"]
    elbv2.modify_rule(RuleArn=test, Actions=actions)
