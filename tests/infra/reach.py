"""Who can reach what: the refs that run workflows, GitHub's environments, the roles, and what these may change.

A branch may change each workflow, so it gets every role that trusts an environment that the branch may use. The YAML
only decides what happens as long as nobody means harm.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import regex

from infra.github import GithubEnvironment
from tests.infra.policies import Statement, statements_of
from tests.infra.synthesis import REFERENCE, Stack

PULL_REQUEST = "pull_request"
SUBJECT = "token.actions.githubusercontent.com:sub"


@dataclass(frozen=True)
class Act:
    """One call of AWS on one resource."""

    action: str
    resource: str
    tags: str = ""
    """Environment in the tags of the resource; of a resource that is made, in the tags of the request too."""

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}" + (f" of {self.tags}" if self.tags else "")


@dataclass(frozen=True)
class Role:
    name: str
    subjects: frozenset[str]
    statements: tuple[Statement, ...]
    managed: frozenset[str]

    def may(self, act: Act) -> bool:
        """Whether its inline policies allow it. A condition that is not about tags counts as fulfilled in an allowing
        statement, and as not fulfilled in a denying one."""
        allows = [each for each in self.statements if each.allows and _covers(each, act) and _tagged(each, act)]
        denies = [each for each in self.statements if not each.allows and not each.conditions and _covers(each, act)]
        return bool(allows) and not denies


def roles_of(stacks: Iterable[Stack]) -> list[Role]:
    """The roles of CI."""
    return [role for stack in stacks for role in _roles(stack)]


def _roles(stack: Stack) -> Iterator[Role]:
    for role in stack.resources("aws_iam_role"):
        if not role.name.startswith("ci_"):
            continue
        (trust,) = statements_of(role)
        yield Role(
            role["name"],
            frozenset(subject.split(":", 2)[2] for subject in trust.conditions["StringEquals"][SUBJECT]),
            tuple(
                statement
                for policy in stack.resources("aws_iam_role_policy")
                if policy["role"] == f"${{{role.address}.id}}"
                for statement in statements_of(policy)
            ),
            frozenset(
                each["policy_arn"].rpartition("/")[2]
                for each in stack.resources("aws_iam_role_policy_attachment")
                if each["role"] == f"${{{role.address}.name}}"
            ),
        )


def reached(ref: str, environments: Sequence[GithubEnvironment], roles: Sequence[Role]) -> dict[str, Role]:
    """The roles that a ref gets, by name: a branch through every environment that it may use, or a pull request."""
    subjects = {f"environment:{each.name}" for each in environments if _may_use(ref, each.branches)}
    if ref == PULL_REQUEST:
        subjects = {PULL_REQUEST}
    return {role.name: role for role in roles if role.subjects & subjects}


def _may_use(branch: str, patterns: Iterable[str]) -> bool:
    """GitHub's patterns: `*` has no slash; `**/` is any number of folders."""
    return any(
        regex.fullmatch(regex.escape(pattern).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*"), branch)
        for pattern in patterns
    )


def _covers(statement: Statement, act: Act) -> bool:
    return any(fnmatchcase(act.action, pattern) for pattern in statement.actions) and any(
        _matches(pattern, act.resource) for pattern in statement.resources
    )


def _matches(pattern: str, resource: str) -> bool:
    """Whatever the account and the region are; a reference to an output names the repository or the table."""
    if output := regex.fullmatch(r"\$\{data\.terraform_remote_state\.\w+\.outputs\.(\w+)\}", pattern):
        return _named(output[1]) == resource
    if pattern.startswith("${"):
        return resource == pattern
    if pattern == "*":
        return True
    service, _, path = resource.partition(":")
    parts = REFERENCE.sub("*", pattern).split(":", 5)
    return parts[2] == service and fnmatchcase(path, parts[5])


def _named(output: str) -> str:
    """`ecr:repository/features/order-api`, of `order_api_feature_repository_arn`."""
    found = regex.fullmatch(r"(?P<service>\w+?)_(?P<feature>feature_)?repository_arn", output)
    if found is None:
        return output
    name = found["service"].replace("_", "-")
    return f"ecr:repository/{'features/' if found['feature'] else ''}{name}"


def _tagged(statement: Statement, act: Act) -> bool:
    keys = ("aws:ResourceTag/Environment", "aws:RequestTag/Environment")
    wanted: list[Any] = [
        pattern for condition in statement.conditions.values() for key, pattern in condition.items() if key in keys
    ]
    return all(fnmatchcase(act.tags, pattern) for pattern in wanted)
