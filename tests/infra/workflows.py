"""GitHub's workflows, read as what will run: who signs in as which role, and what each step calls."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.infra.synthesis import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTIONS = sorted((GITHUB / "actions").glob("*/action.yml"))
LOCAL = "./.github/"
SIGN_IN = f"{LOCAL}actions/sign-in"

Json = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Workflow:
    path: Path
    body: dict[Any, Any]

    @property
    def triggers(self) -> Json:
        on: Json = self.body[True]  # YAML 1.1 takes `on` for a truth
        return on

    @property
    def defaults(self) -> dict[str, str]:
        """Inputs of a call that need not be given."""
        inputs = (self.triggers["workflow_call"] or {}).get("inputs", {})
        return {name: str(each["default"]) for name, each in inputs.items() if "default" in each}

    @property
    def jobs(self) -> list["Job"]:
        return [Job(self, name, body) for name, body in self.body["jobs"].items()]

    def job(self, name: str) -> "Job":
        """KeyError if there is none."""
        return Job(self, name, self.body["jobs"][name])


@dataclass(frozen=True, eq=False)
class Job:
    workflow: Workflow
    name: str
    body: Json

    @property
    def called(self) -> Workflow | None:
        """The workflow that it is a call of."""
        return workflow(Path(self.body["uses"]).name) if "uses" in self.body else None

    @property
    def steps(self) -> list[Json]:
        steps: list[Json] = self.body.get("steps", [])
        return steps

    @property
    def needs(self) -> list[str]:
        needs = self.body.get("needs", [])
        return [needs] if isinstance(needs, str) else needs

    def calls(self, command: str) -> bool:
        """Itself, or in the workflow that it calls."""
        called = self.called.jobs if self.called is not None else []
        return any(step.get("run") == command for step in self.steps) or any(job.calls(command) for job in called)

    @property
    def signs_in(self) -> bool:
        """Itself, or in the workflow that it calls."""
        if self.called is not None:
            return any(job.signs_in for job in self.called.jobs)
        return any(step.get("uses") == SIGN_IN for step in self.steps)

    def __str__(self) -> str:
        return f"{self.workflow.path.name}: {self.name}"


@dataclass(frozen=True)
class SignIn:
    """A job's, with the values that a run gives it."""

    where: str
    environment: str | None
    """GitHub's."""
    role: str
    """ARN, with `account` and `region` in place of those."""

    @property
    def subject(self) -> str:
        """What GitHub's token says of the job, after the repository."""
        return f"environment:{self.environment}" if self.environment else "pull_request"


@cache
def workflow(name: str) -> Workflow:
    path = GITHUB / "workflows" / name
    return Workflow(path, yaml.safe_load(path.read_text()))


def workflows() -> list[Workflow]:
    return [workflow(path.name) for path in WORKFLOWS]


def jobs() -> list[Job]:
    return [job for each in workflows() for job in each.jobs]


def steps() -> Iterator[tuple[str, Json]]:
    """Of jobs and of our own actions, with where each is."""
    for job in jobs():
        yield from ((str(job), step) for step in job.steps)
    for path in ACTIONS:
        yield from ((path.parent.name, step) for step in yaml.safe_load(path.read_text())["runs"]["steps"])


def sign_ins() -> list[SignIn]:
    """Of all workflows that something starts, through the workflows that these call."""
    started = [job for each in workflows() if set(each.triggers) != {"workflow_call"} for job in each.jobs]
    found = [sign_in for job in started for sign_in in sign_ins_of(job)]
    assert found, "nothing signs in"
    return found


def sign_ins_of(job: Job) -> list[SignIn]:
    """Of a job of a workflow that something starts."""
    return [sign_in for inputs in _dispatched(job) for sign_in in _sign_ins(job, inputs)]


def _dispatched(job: Job) -> list[dict[str, str]]:
    """What somebody may enter who starts the workflow by hand: each environment."""
    if "inputs" not in (job.workflow.triggers.get("workflow_dispatch") or {}):
        return [{}]
    return [{"environment": each} for each in ("dev", "uat", "prod", "feat-login")]


def _sign_ins(job: Job, inputs: Mapping[str, str]) -> Iterator[SignIn]:
    for matrix in _matrices(job):
        values = {f"inputs.{name}": value for name, value in inputs.items()} | matrix
        if job.called is not None:
            given = job.called.defaults | {
                name: filled(value, values) for name, value in job.body.get("with", {}).items()
            }
            for each in job.called.jobs:
                yield from _sign_ins(each, given)
        for step in job.steps:
            if step.get("uses") == SIGN_IN:
                environment = job.body.get("environment")
                yield SignIn(
                    str(job),
                    filled(environment, values) if environment else None,
                    _role({name: filled(value, values) for name, value in step["with"].items()}),
                )


def _matrices(job: Job) -> list[dict[str, str]]:
    """Each value of a matrix of one dimension."""
    matrix = job.body.get("strategy", {}).get("matrix", {})
    listed = {name: values for name, values in matrix.items() if isinstance(values, list)}  # others are of a job before
    return [{f"matrix.{name}": value} for name, values in listed.items() for value in values] or [{}]


def _role(inputs: Mapping[str, str]) -> str:
    action = yaml.safe_load((GITHUB / "actions" / "sign-in" / "action.yml").read_text())
    (step,) = action["runs"]["steps"]
    values = {f"inputs.{name}": value for name, value in inputs.items()}
    return filled(
        step["with"]["role-to-assume"], values | {"env.ORDER_ACCOUNT_ID": "account", "env.AWS_REGION": "region"}
    )


def filled(text: str, values: Mapping[str, str]) -> str:
    """With the values that are known; what is not stays as it is."""
    return re.sub(r"\$\{\{ (.+?) \}\}", lambda match: _filled(match[1], match[0], values), text)


def _filled(expression: str, whole: str, values: Mapping[str, str]) -> str:
    names = NAME.findall(expression)
    if not names or not values.keys() >= set(names):
        return whole
    return str(evaluated(expression, values))


NAME = re.compile(r"\b(?:github|inputs|vars|env|matrix|needs|steps)\.[\w.-]+")
"""In an expression of GitHub's."""


def evaluated(expression: str, values: Mapping[str, str]) -> object:
    """Of an expression of GitHub's, which has the precedence of Python's; what is not known is empty."""
    inner = expression.removeprefix("${{").removesuffix("}}").strip()
    known = NAME.sub(lambda match: repr(values.get(match[0], "")), inner)
    python = re.sub(r"!(?!=)", " not ", known.replace("&&", " and ").replace("||", " or "))
    return eval(python, {"startsWith": str.startswith, "cancelled": bool, "failure": bool})  # noqa: S307 - our own workflows
