"""Which stacks, in which order; what must stand before, and what must be gone."""

from dataclasses import replace
from hashlib import sha256

import pytest

from infra.environments import DEV, MAX_NAME_LENGTH, NAME_PATTERN, PROD, Environment, environment_of
from infra.operate.conditions import require_nothing_above, unready
from infra.operate.features import environment_of_branch
from infra.operate.request import Request, Verb
from infra.stacks import ACCOUNT, Stack, stacks_of
from order_shared.naming import ORDER_API
from orderctl.exceptions import Refused, UsageError

FAR = "eu-west-1"
HOME = DEV.home
WIDE = replace(DEV, regions=(HOME, FAR))
FEATURE = environment_of("feat-login")


def order(verb: Verb, environment: Environment, **asked: str | bool) -> list[str]:
    return [stack.name for stack in Request(verb=verb, environment=environment, **asked).stacks()]  # type: ignore[arg-type]


DEPLOYED = [
    f"registry-{HOME}",
    f"registry-{FAR}",
    f"supporting-{FAR}",
    f"supporting-{HOME}",
    f"order-api-{FAR}",
    f"order-processor-{FAR}",
    f"order-notifier-{FAR}",
    f"order-api-{HOME}",
    f"order-processor-{HOME}",
    f"order-notifier-{HOME}",
]


@pytest.mark.parametrize("verb", [Verb.PLAN, Verb.OUTPUTS])
def test_what_others_read_comes_first(verb: Verb) -> None:
    """The first region's tables are replicated under keys of the others."""
    assert order(verb, WIDE) == DEPLOYED


@pytest.mark.parametrize("only", [None, "services", "order-processor"])
def test_services_of_two_regions_never_go_at_once(only: str | None) -> None:
    """Terraform does not wait for ECS: the former home would still write when the new one begins."""
    failed_over = replace(WIDE, active_region=FAR)
    with pytest.raises(Refused, match=rf"(?s)--only services --region {HOME}\n.*--only services --region {FAR}"):
        Request(verb=Verb.APPLY, environment=failed_over, only=only).stacks()
    assert order(Verb.APPLY, failed_over, only="order-processor", region=HOME) == [f"order-processor-{HOME}"]
    assert order(Verb.APPLY, failed_over, only="supporting") == DEPLOYED[:4]
    assert order(Verb.APPLY, failed_over, dry_run=True)[4:] == [*DEPLOYED[7:], *DEPLOYED[4:7]]


def test_destroying_goes_the_same_way_backwards_and_spares_the_registry() -> None:
    assert order(Verb.DESTROY, WIDE, registry=True) == DEPLOYED[::-1]
    assert order(Verb.DESTROY, WIDE) == DEPLOYED[:1:-1]


def test_a_feature_environment_has_no_registry_of_its_own() -> None:
    assert order(Verb.APPLY, FEATURE) == [f"supporting-{HOME}", *DEPLOYED[7:]]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"only": "supporting"}, DEPLOYED[:4]),
        ({"only": "services"}, DEPLOYED[4:]),
        ({"only": "order-api"}, [DEPLOYED[4], DEPLOYED[7]]),
        ({"only": f"order-api-{FAR}"}, [DEPLOYED[4]]),
        ({"region": FAR}, [each for each in DEPLOYED if each.endswith(FAR)]),
        ({"only": "services", "region": FAR}, DEPLOYED[4:7]),
    ],
)
def test_a_part_keeps_the_order(asked: dict[str, str], expected: list[str]) -> None:
    assert order(Verb.PLAN, WIDE, **asked) == expected
    sparing = [name for name in expected[::-1] if not name.startswith("registry")]
    assert order(Verb.DESTROY, WIDE, **asked) == sparing


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"only": "order-ap"}, f"supporting, services, registry-{HOME}"),
        ({"only": f"order-api-{FAR}"}, "has no"),
        ({"region": FAR}, f"is not in {FAR}; its regions are {HOME}"),
    ],
)
def test_what_names_no_stack_is_refused_and_the_choices_are_told(asked: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        order(Verb.APPLY, DEV, **asked)


def test_the_registry_alone_is_destroyed_only_if_it_is_said() -> None:
    with pytest.raises(Refused, match="only with --registry"):
        order(Verb.DESTROY, DEV, only="registry")
    assert order(Verb.DESTROY, DEV, only="registry", registry=True) == [f"registry-{HOME}"]


def test_the_line_that_goes_on_asks_for_the_same() -> None:
    request = Request(verb=Verb.DESTROY, environment=DEV, only="services", region=HOME, registry=True)
    assert request.command() == f"orderctl env destroy --env dev --only services --region {HOME} --registry"


@pytest.mark.parametrize("environment", [WIDE, PROD, FEATURE], ids=lambda each: str(each.name))
def test_a_stack_is_found_again_by_its_key_and_by_its_workspace(environment: Environment) -> None:
    for stack in stacks_of(environment):
        assert Stack.of_key(stack.key) == stack
        assert Stack.of_workspace(stack.workspace) == stack


@pytest.mark.parametrize(
    "key", ["dev/eu-central-1/order-api.tfstate.tflock", "dev/eu-central-1/x.tfstate", "notes.txt"]
)
def test_what_is_no_stacks_state_is_left_alone(key: str) -> None:
    assert Stack.of_key(key) is None


REGISTRY = Stack(owner=ACCOUNT, region=HOME, kind="registry")
SUPPORTING = Stack(owner="dev", region=HOME, kind="supporting")
API = Stack(owner="dev", region=HOME, kind=ORDER_API.name)
FAR_SUPPORTING = Stack(owner="dev", region=FAR, kind="supporting")
READS = {REGISTRY: (), SUPPORTING: (REGISTRY,), API: (SUPPORTING, REGISTRY)}


def test_a_deployment_finds_what_its_earlier_stacks_left() -> None:
    assert unready([REGISTRY, SUPPORTING, API], READS, set(), in_turn=True) == {}


def test_a_plan_does_not() -> None:
    lacking = unready([REGISTRY, SUPPORTING, API], READS, set(), in_turn=False)
    assert lacking == {SUPPORTING: [REGISTRY], API: [REGISTRY, SUPPORTING]}  # what comes first is made first


def test_a_stack_that_cannot_be_deployed_leaves_nothing_for_the_next() -> None:
    assert unready([SUPPORTING, API], READS, set(), in_turn=True).keys() == {SUPPORTING, API}


@pytest.mark.parametrize(
    ("going", "above", "line"),
    [
        (SUPPORTING, API, "destroy --env dev --only services"),
        (
            SUPPORTING,
            Stack(owner="dev", region=FAR, kind=ORDER_API.name),
            f"destroy --env dev --only services --region {FAR}",
        ),
        (FAR_SUPPORTING, Stack(owner="dev", region=FAR, kind=ORDER_API.name), "destroy --env dev --only services"),
        (FAR_SUPPORTING, SUPPORTING, "destroy --env dev"),
        (SUPPORTING, Stack(owner="feat-login", region=HOME, kind="supporting"), "destroy --env feat-login"),
        (REGISTRY, SUPPORTING, "destroy --env dev --only supporting"),
        (REGISTRY, Stack(owner="prod", region=HOME, kind=ORDER_API.name), "destroy --env prod"),
    ],
)
def test_what_something_stands_on_does_not_go(going: Stack, above: Stack, line: str) -> None:
    with pytest.raises(Refused) as refusal:
        require_nothing_above([going], {going, above}, WIDE)
    assert str(refusal.value).splitlines()[1:] == [f"  orderctl env {line}"]
    require_nothing_above([above, going], {going, above}, WIDE)  # what goes before it is in nobody's way


@pytest.mark.parametrize(
    ("going", "beside"),
    [
        (API, SUPPORTING),
        (SUPPORTING, REGISTRY),
        (SUPPORTING, Stack(owner="prod", region=HOME, kind=ORDER_API.name)),
        (SUPPORTING, FAR_SUPPORTING),
        (FAR_SUPPORTING, API),
        (Stack(owner="uat", region=HOME, kind="supporting"), Stack(owner="feat-login", region=HOME, kind="supporting")),
        (REGISTRY, Stack(owner="dev", region=FAR, kind=ORDER_API.name)),
        (REGISTRY, Stack(owner=ACCOUNT, region=FAR, kind="registry")),
    ],
)
def test_what_stands_beside_is_in_nobodys_way(going: Stack, beside: Stack) -> None:
    require_nothing_above([going], {going, beside}, WIDE)


@pytest.mark.parametrize(
    ("branch", "name"),
    [
        ("feat/login", "feat-login"),
        ("feat-login", "feat-login"),
        ("feat/Login_page//2", "feat-login-page-2"),
        ("feature/login", "feat-feature-login"),
        ("main", "feat-main"),
    ],
)
def test_a_branch_names_its_environment(branch: str, name: str) -> None:
    digest = sha256(branch.encode()).hexdigest()[:8]
    assert environment_of_branch(branch) == f"{name}-{digest}"


def test_two_spellings_have_two_environments() -> None:
    """Or the deletion of one branch would destroy the data of the other."""
    spellings = ["feat/login", "feat-login", "feat_login", "feat/Login", "feat/login-", "feat//login", "feat.login"]
    names = {environment_of_branch(each) for each in spellings}
    assert len(names) == len(spellings)
    assert all(NAME_PATTERN.fullmatch(name) for name in names)
    assert environment_of_branch(environment_of_branch("feat/login")) not in names


def test_long_branches_are_told_apart() -> None:
    names = {environment_of_branch(f"feat/{'long-' * 10}{number}") for number in range(9)}
    assert len(names) == 9
    for name in names:
        assert len(name) <= MAX_NAME_LENGTH
        assert NAME_PATTERN.fullmatch(name)
