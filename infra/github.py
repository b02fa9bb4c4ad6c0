"""GitHub environments of the repository: the branches that may use each, and whether somebody must approve.

A job gets the roles of the GitHub environment that it names, and a branch may change every workflow. So the branches of
an environment, and nothing else, decide who reaches a role. Standard library only.
"""

from dataclasses import dataclass

FEATURES = "features"
"""First part of the names of the roles and GitHub environments of all feature environments."""
IMAGES = "images"
"""GitHub environment that pushes main's images."""

MAIN = ("main",)
FEATURE_BRANCHES = ("feat*", "feat*/**/*")


@dataclass(frozen=True, kw_only=True)
class GithubEnvironment:
    name: str
    branches: tuple[str, ...] = MAIN
    """Patterns of branches, as GitHub's deployment branch policies match them. No tag may use an environment."""
    reviewers: str = ""
    """Who must approve a job of this environment; empty if nobody must."""


GITHUB_ENVIRONMENTS = (
    GithubEnvironment(name=IMAGES),
    GithubEnvironment(name="dev"),
    GithubEnvironment(name="dev-apply"),
    GithubEnvironment(name=FEATURES, branches=FEATURE_BRANCHES),
    GithubEnvironment(name=f"{FEATURES}-apply", branches=FEATURE_BRANCHES),
    GithubEnvironment(name=f"{FEATURES}-destroy"),
    GithubEnvironment(name="uat-approval", reviewers="testers"),
    GithubEnvironment(name="uat-apply"),
    GithubEnvironment(name="uat"),
    GithubEnvironment(name="prod-approval", reviewers="those responsible for production"),
    GithubEnvironment(name="prod-apply"),
    GithubEnvironment(name="prod"),
)


def approval_of(environment: str) -> GithubEnvironment | None:
    """Return the GitHub environment whose reviewers approve a deployment to an environment; None if nobody must."""
    name = f"{environment}-approval"
    return next((each for each in GITHUB_ENVIRONMENTS if each.name == name), None)
