"""compose.yaml starts the whole platform, in order, and as unprivileged as in production. No engine is needed here."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from graphlib import TopologicalSorter
from importlib.util import find_spec

import pytest
import yaml

from order_api.main import FLUSH_SECONDS as API_FLUSH_SECONDS
from order_api.server import GRACEFUL_SHUTDOWN_SECONDS
from order_shared.naming import SERVICE_NAMES
from tests.infra.compose import COMPOSE, SETTINGS, Service, addresses, ours, services
from tests.infra.profiles import LOCAL, profiles, settings_of
from tests.infra.synthesis import ROOT
from tests.infra.test_dockerfiles import values
from tests.infra.test_stack_settings import variables

DOCKERFILE = "devtools/devstack/Dockerfile"
LOOPBACK = "127.0.0.1"
PROFILE = "${PROFILE:-local}"


def test_it_is_a_compose_file() -> None:
    """By the schema of the Compose Specification."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert answer.returncode == 0, answer.stdout


RULES: dict[str, Callable[[Service], bool]] = {
    "is a numeric user, and not root": lambda service: re.fullmatch(r"[1-9]\d+:\d+", service.body["user"]) is not None,
    "has a root that is only read": lambda service: service.body["read_only"] is True,
    "has no capability": lambda service: service.body["cap_drop"] == ["ALL"] and "cap_add" not in service.body,
    "gains no privilege": lambda service: service.body["security_opt"] == ["no-new-privileges:true"],
    "has an init process": lambda service: service.body["init"] is True,
    "shares nothing with the host": lambda service: service.body.keys().isdisjoint(
        {"privileged", "devices", "network_mode", "pid", "ipc", "userns_mode"}
    ),
    "writes to no file of the host": lambda service: {mode for _, _, mode in service.mounts} == {"ro"},
    "is reached from this machine only": lambda service: {address for address, *_ in service.published} <= {LOOPBACK},
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("service", services().values(), ids=str)
def test_a_container(service: Service, rule: str) -> None:
    assert RULES[rule](service)


@pytest.mark.parametrize("service", services().values(), ids=str)
def test_whoever_waits_for_a_service_waits_until_it_can_be_used(service: Service) -> None:
    for name, condition in service.waits_for.items():
        expected = "service_completed_successfully" if services()[name].is_one_shot else "service_healthy"
        assert condition == expected, name


def test_only_the_tables_are_made_by_one_that_ends() -> None:
    assert [service.name for service in services().values() if service.is_one_shot] == ["provision"]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_service_starts_after_all_that_it_is_told_of(name: str) -> None:
    needed = {host for host, _ in addresses(variables(SETTINGS[name])).values()}
    assert "aws" in needed
    assert needed | {"provision"} <= _before(name)


def test_every_service_of_the_table_has_its_settings_here() -> None:
    assert list(SETTINGS) == list(SERVICE_NAMES)


def test_prometheus_finds_every_service_and_grafana_finds_prometheus() -> None:
    folder = ROOT / "observability"
    jobs = yaml.safe_load((folder / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    targets = {target for job in jobs for config in job["static_configs"] for target in config["targets"]}
    assert targets == {f"{name}:{services()[name].port}" for name in SETTINGS}
    assert set(SETTINGS) <= _before("prometheus")
    (path,) = (folder / "grafana" / "provisioning" / "datasources").iterdir()
    (source,) = yaml.safe_load(path.read_text())["datasources"]
    ((_, _, port),) = services()["prometheus"].published
    assert source["url"] == f"http://prometheus:{port}"
    assert "prometheus" in _before("grafana")


def test_each_of_the_others_finds_what_it_is_given() -> None:
    """Where their images look for it."""
    given = {target: source for name in ("prometheus", "grafana") for source, target, _ in services()[name].mounts}
    (path,) = (ROOT / "observability" / "grafana" / "provisioning" / "dashboards").iterdir()
    (provider,) = yaml.safe_load(path.read_text())["providers"]
    assert given == {
        "/etc/prometheus": "./observability/prometheus",
        "/etc/grafana/provisioning": "./observability/grafana/provisioning",
        provider["options"]["path"]: "./observability/grafana/dashboards",
    }


WRITTEN = {"prometheus": {"/prometheus"}, "grafana": {"/var/lib/grafana", "/tmp"}}  # noqa: S108 - the containers'


@pytest.mark.parametrize("service", services().values(), ids=str)
def test_what_a_container_writes_it_may_write(service: Service) -> None:
    written = WRITTEN.get(service.name, {"/tmp"})  # noqa: S108 - the container's
    if "--key" in service.body.get("command", []):
        key = service.command[service.command.index("--key") + 1]
        written = written | {f"/src/{key.rpartition('/')[0]}"}
    assert service.writable == written


def test_what_is_stored_outlives_the_containers() -> None:
    """The paths that the commands name lie in the volume, whose folder the image gives to its user."""
    stored = {service.name: service for service in services().values() if service.stores}
    named = {name: [each for each in service.command if each.startswith("/")] for name, service in stored.items()}
    assert named == {"aws": ["/data/aws"], "payments": ["/data/payments.sqlite"]}
    assert all(service.stores == {"/data"} for service in stored.values())
    user = stored["aws"].body["user"].partition(":")[0]
    assert f"RUN install -d -o {user} -g {user} /data" in (ROOT / DOCKERFILE).read_text()


@pytest.mark.parametrize("service", services().values(), ids=str)
def test_what_dies_is_started_again(service: Service) -> None:
    assert service.body["restart"] == ("no" if service.is_one_shot else "unless-stopped")


@pytest.mark.parametrize("service", [each for each in services().values() if not each.is_one_shot], ids=str)
def test_a_health_check_asks_the_service_itself(service: Service) -> None:
    check = service.body["healthcheck"]["test"]
    asked = re.findall(rf"http://{LOOPBACK}:(\d+)/", check[-1])
    if service.is_ours and not asked:
        assert check[1:] == json.loads(values("order-api", "HEALTHCHECK")[0].partition("CMD ")[2])
    else:
        assert asked == [str(container) for _, _, container in service.published]


@pytest.mark.parametrize("service", services().values(), ids=str)
def test_what_is_mounted_is_there(service: Service) -> None:
    for source, target, _ in service.mounts:
        assert (ROOT / source).is_dir(), source
        if service.is_ours:
            assert target == f"/src/{source.removeprefix('./')}"


def test_no_two_share_a_port_of_the_host() -> None:
    taken = [host for service in services().values() for _, host, _ in service.published]
    assert len(taken) == len(set(taken))


@pytest.mark.parametrize("service", [each for each in ours() if each.published], ids=str)
def test_what_is_published_is_what_it_listens_to(service: Service) -> None:
    assert [container for _, _, container in service.published] == [service.port]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_service_listens_where_its_image_does(name: str) -> None:
    assert values(name, "EXPOSE") == [str(services()[name].port)]


def test_every_address_of_the_local_profile_is_a_service() -> None:
    told = addresses(set(settings_of(LOCAL)))
    assert {host for host, _ in told.values()} == {"aws", "issuer", "payments"}
    for variable, (host, port) in told.items():
        assert port == services()[host].port, variable


@pytest.mark.parametrize("name", SETTINGS)
def test_a_service_follows_the_profile(name: str) -> None:
    settings, secrets = services()[name].body["env_file"]
    assert settings == {"path": f"env/{PROFILE}.env"}
    assert secrets == {"path": f"env/{PROFILE}.secrets.env", "required": False}
    assert profiles().keys() > {LOCAL}
    assert services()[name].environment.keys() <= variables(SETTINGS[name])


def test_what_they_stand_on_is_local_whatever_the_profile() -> None:
    """Above all the one that makes tables."""
    others = [service for service in ours() if service.name not in SETTINGS]
    assert len(others) > 1
    for service in others:
        assert service.body["env_file"] == ["env/local.env"], service.name
        assert service.environment.keys() <= {"ORDER_PORT"}, service.name


def test_secrets_of_a_profile_are_kept_out_of_git_and_of_images() -> None:
    assert "env/*.secrets.env" in (ROOT / ".gitignore").read_text().splitlines()
    assert not any("env" in line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!"))


@pytest.mark.parametrize("service", [each for each in ours() if each.name not in SETTINGS], ids=str)
def test_a_part_is_a_module_of_devstack(service: Service) -> None:
    python, option, module, *_ = service.command
    assert (python, option) == ("python", "-m")
    assert find_spec(module) is not None


@pytest.mark.parametrize("name", SETTINGS)
def test_a_changed_source_restarts_the_service(name: str) -> None:
    service = services()[name]
    watcher, *_, program, shared, own = service.command
    assert (watcher, program) == ("watchfiles", name)
    assert (shared, own) == ("shared/src", f"services/{name}/src")
    assert {f"./{shared}", f"./{own}"} <= {source for source, _, _ in service.mounts}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_service_has_time_to_drain(name: str) -> None:
    body = services()[name].body
    patience = float(body["command"][body["command"].index("--sigint-timeout") + 1])
    assert needed(name) < patience < float(body["stop_grace_period"].rstrip("s"))


def needed(name: str) -> float:
    """Seconds that a service may take after SIGTERM, whatever the profile says."""
    if name == "order-api":
        lame_duck = float(services()[name].environment["ORDER_LAME_DUCK_SECONDS"])
        return lame_duck + GRACEFUL_SHUTDOWN_SECONDS + API_FLUSH_SECONDS
    return float(settings_of(LOCAL)["ORDER_DRAIN_SECONDS"])


@pytest.mark.parametrize("service", ours(), ids=str)
def test_every_source_that_the_image_has_is_that_of_this_folder(service: Service) -> None:
    """Those of the client and of operations too, which orderctl uses."""
    members = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    sources = {path.relative_to(ROOT) for member in members for path in ROOT.glob(f"{member}/src")}
    assert {source for source, _, _ in service.mounts} == {f"./{source}" for source in sources}


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_what_others_build_is_pinned(name: str) -> None:
    assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", services()[name].body["image"])


def test_nobody_can_sign_in_to_grafana() -> None:
    environment = services()["grafana"].environment
    assert not any("PASSWORD" in name for name in environment)
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "true"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_AUTH_BASIC_ENABLED"] == "false"
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"


def test_grafana_keeps_the_data_source_that_its_image_has() -> None:
    """It is a plugin there, and an update of it would have to write."""
    assert services()["grafana"].environment["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"


def test_all_of_ours_are_one_image_whose_user_is_productions() -> None:
    assert {tuple(service.body["build"].items()) for service in ours()} == {
        (("context", "."), ("dockerfile", DOCKERFILE))
    }
    users = {*values("order-api", "USER"), *(service.body["user"] for service in ours())}
    assert users == {(ROOT / DOCKERFILE).read_text().rstrip().rpartition("USER ")[2]}


def test_the_page_names_services_that_there_are() -> None:
    page = (ROOT / "docs" / "development.md").read_text()
    named = re.findall(r"docker compose (?:run --rm|exec -T|logs -f|stop|start|restart|up --no-deps) ([\w-]+)", page)
    assert {"order-api", "issuer"} <= set(named) <= services().keys()


def _before(name: str) -> set[str]:
    """Every service that this one starts after."""
    order = TopologicalSorter({each.name: each.waits_for.keys() for each in services().values()})
    order.prepare()  # raises if they wait for each other
    found: set[str] = set()
    waiting = [*services()[name].waits_for]
    while waiting:
        found.add(each := waiting.pop())
        waiting += services()[each].waits_for
    return found
