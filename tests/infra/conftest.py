"""A place for the operator's commands: an account of moto's, and stand-ins for Terraform and for infra's Python."""

import json
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from infra.environments import Environment, Organisation, environment_of
from infra.operate.__main__ import app
from infra.operate.context import OperateContext
from infra.stacks import ACCOUNT, REGISTRY, SUPPORTING, App, Stack, leaving_stacks, stacks_of
from orderctl import terminal

HOME = "eu-central-1"
MOTO_ACCOUNT = "123456789012"
BUCKET = f"order-platform-state-{MOTO_ACCOUNT}-{HOME}"
OURS = Organisation(domain="shop.test", repository="shop/orders", owner_email="orders@shop.test")

TERRAFORM = '''#!{python} -IS
"""Says what it was told, in a file; and does what the test has written for this verb and stack."""
import json, os, signal, sys, time
from pathlib import Path

here = Path(os.environ["FAKE_TERRAFORM"])
verb, stack = sys.argv[1], Path.cwd().name
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
environ = {{name: value for name, value in os.environ.items() if name.startswith(("TF_", "AWS_"))}}
with (here / "calls.jsonl").open("a") as calls:
    own_group = os.getpgrp() == os.getpid()
    call = {{"stack": stack, "arguments": sys.argv[1:], "environ": environ, "own_group": own_group}}
    print(json.dumps(call), file=calls)
does = json.loads((here / "does.json").read_text()).get(f"{{verb}} {{stack}}", {{}})
machine = {{"output": does.get("outputs", {{}}), "show": {{}}}}
told = json.dumps(machine[verb]) if verb in machine else f"terraform says: {{verb}} of {{stack}}"
told = does.get("says", told)
print(told, flush=True)
if verb == "plan" and any(each.startswith("-out=") for each in sys.argv):
    Path("stack.tfplan").write_text("planned")
if verb == "apply" and not Path(sys.argv[-1]).exists():
    sys.exit("there is no plan")
for address, target, body in does.get("posts", []):
    import http.client
    connection = http.client.HTTPConnection(address)
    connection.request("POST", "/", body, {{"X-Amz-Target": target}})
    answer = connection.getresponse()
    if answer.status != 200:
        sys.exit(answer.read().decode())
if "lost" in does:
    Path("errored.tfstate").write_text("state")
if "signals" in does:
    first, *more = does["signals"]
    os.kill(os.getppid(), getattr(signal, first))
    signal.sigwait([signal.SIGTERM])
    for name in more:
        before = os.fstat(2).st_size
        os.kill(os.getppid(), getattr(signal, name))
        while os.fstat(2).st_size == before:  # until our parent has said something to it
            time.sleep(0.005)
    asked_again = signal.SIGTERM in signal.sigpending()
    (here / "stopped.json").write_text(json.dumps({{"asked_again": asked_again}}))
if "ignored" in does:
    os.kill(os.getppid(), getattr(signal, does["ignored"]))
if "killed" in does:
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(does.get("exit", 0))
'''

PYTHON = '''#!{python} -IS
"""Writes the stacks that the test has made up for this app."""
import json, os, sys
from pathlib import Path

app, name, out = sys.argv[2].split(".")[1], sys.argv[4], Path(sys.argv[6])
here = Path(os.environ["FAKE_TERRAFORM"])
with (here / "syntheses.jsonl").open("a") as calls:
    path, node = os.environ["PYTHONPATH"], os.environ.get("JSII_NODE")
    call = {{"app": app, "path": path, "folder": os.getcwd(), "node": node, "options": sys.argv[7:]}}
    print(json.dumps(call), file=calls)
made_up = json.loads((here / "stacks.json").read_text())
if app in made_up.get("broken", []):
    sys.exit("Traceback: the construct is wrong")
for stack, content in made_up.get(name, {{}}).get(app, {{}}).items():
    (out / "stacks" / stack).mkdir(parents=True, exist_ok=True)
    (out / "stacks" / stack / "cdk.tf.json").write_text(json.dumps(content))
'''


@dataclass
class Desk:
    """Where an operator sits. `context` may be replaced by another; what was called is read from files."""

    context: OperateContext
    here: Path
    s3: Any
    does: dict[str, dict[str, Any]] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Return a client of the account: the one that the commands use, too."""
        make: Any = self.context.session().client  # typed by the name of each service
        return make(service, region_name=HOME)

    def run(self, *words: str, answer: str | None = None) -> Result:
        (self.here / "does.json").write_text(json.dumps(self.does))
        return CliRunner().invoke(app, list(words), obj=self.context, input=answer)

    def calls(self) -> list[dict[str, Any]]:
        return self._read("calls.jsonl")

    def syntheses(self) -> list[dict[str, Any]]:
        return self._read("syntheses.jsonl")

    def called(self) -> list[str]:
        """`verb stack` of each run of Terraform, in order."""
        return [f"{call['arguments'][0]} {call['stack']}" for call in self.calls()]

    def applied(self) -> list[str]:
        return [call["stack"] for call in self.calls() if call["arguments"][0] == "apply"]

    def stand(self, *stacks: Stack) -> None:
        """As if they had been deployed."""
        for stack in stacks:
            self.keep(stack.key, {"resources": [{"mode": "data"}, {"mode": "managed"}]})

    def keep(self, key: str, state: dict[str, Any]) -> None:
        bucket = BUCKET.replace(HOME, key.split("/")[1])
        self.s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(state).encode())

    def make_bucket(self, region: str) -> None:
        where = {"LocationConstraint": region}
        s3 = self.context.session().client("s3", region_name=region)
        s3.create_bucket(Bucket=BUCKET.replace(HOME, region), CreateBucketConfiguration=where)

    def make_up(self, *environments: Environment, broken: tuple[str, ...] = ()) -> None:
        """The stacks that the apps write; each reads what it stands on."""
        content: dict[str, Any] = {"broken": broken}
        for environment in environments:
            apps: dict[str, dict[str, Any]] = {each: {} for each in App}
            for stack in stacks_of(environment):
                sources = {f"s{n}": {"config": {"key": key}} for n, key in enumerate(_reads(stack, environment))}
                apps[stack.app][stack.name] = {"data": {"terraform_remote_state": sources}}
            content[environment.name] = apps
        (self.here / "stacks.json").write_text(json.dumps(content))

    def make_up_leaving(self, environment: Environment) -> None:
        """Let the apps write the stacks of regions that an environment leaves, too."""
        path = self.here / "stacks.json"
        content = json.loads(path.read_text())
        for region in environment.leaving_regions:
            for stack in leaving_stacks(environment, region):
                content[stack.owner][stack.app][stack.name] = {}
        path.write_text(json.dumps(content))

    def make_up_with(self, stack: Stack, resources: dict[str, Any]) -> None:
        """Give a stack resources, beside what it reads."""
        path = self.here / "stacks.json"
        content = json.loads(path.read_text())
        content[stack.owner][stack.app][stack.name]["resource"] = resources
        path.write_text(json.dumps(content))

    def pretend(self, **changes: Any) -> None:
        """Changes of the organisation."""
        self.context = replace(self.context, organisation=replace(self.context.organisation, **changes))

    def lacks(self, text: str) -> bool:
        """None of the commands' words has the text."""
        return all(text not in " ".join(call["arguments"]) for call in self.calls())

    def _read(self, name: str) -> list[dict[str, Any]]:
        path = self.here / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _reads(stack: Stack, environment: Environment) -> list[str]:
    if stack.kind == REGISTRY:
        return []
    registry = Stack(owner=ACCOUNT, region=stack.region, kind=REGISTRY).key
    if stack.kind != SUPPORTING:
        return [registry, Stack(owner=stack.owner, region=stack.region, kind=SUPPORTING).key]
    if environment.host:
        return [Stack(owner=environment.host, region=stack.region, kind=SUPPORTING).key]
    first, *further = environment.regions
    others = further if stack.region == first else []
    return [registry, *(Stack(owner=stack.owner, region=region, kind=SUPPORTING).key for region in others)]


class SharedClients(boto3.Session):
    """A session that makes each client once: to make one takes longer than most tests of it."""

    def __init__(self) -> None:
        super().__init__()
        self._clients: dict[str, Any] = {}

    def client(self, *arguments: Any, **options: Any) -> Any:
        key = repr((arguments, options))
        if key not in self._clients:
            self._clients[key] = super().client(*arguments, **options)
        return self._clients[key]


@pytest.fixture(scope="session")
def aws_session() -> boto3.Session:
    """One for all tests: it reads botocore's models once, too."""
    return SharedClients()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aws_session: boto3.Session) -> Iterator[Desk]:
    """At a terminal, with a bucket in an account of ours, where nothing stands yet."""
    root, tools, here = tmp_path / "root", tmp_path / "bin", tmp_path / "fake"
    here.mkdir()
    _executable(tools / "terraform", TERRAFORM)
    _executable(root / "infra" / ".venv" / "bin" / "python", PYTHON)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS"):
        monkeypatch.delenv(name, raising=False)
    environ = {"PATH": str(tools), "FAKE_TERRAFORM": str(here), "HOME": str(tmp_path)}
    monkeypatch.setattr(terminal, "can_ask", lambda: True)
    with mock_aws():
        s3 = aws_session.client("s3", region_name=HOME)
        context = OperateContext(root=root, organisation=OURS, environ=environ, session=lambda: aws_session)
        made = Desk(context, here, s3)
        made.make_bucket(HOME)
        made.make_up(*(environment_of(name) for name in ("dev", "uat", "prod", "feat-login", "feat-old")))
        yield made


def _executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def stacks_named(environment: str) -> tuple[Stack, ...]:
    return stacks_of(environment_of(environment))
