"""Name of the feature environment of a branch."""

import re

from infra.environments import FEATURE_PREFIX, MAX_NAME_LENGTH
from infra.naming import shortened


def environment_of_branch(branch: str) -> str:
    """Return the name of a branch's environment: `feat/Login_page` → `feat-login-page`. A long name ends in a hash.

    Two branches whose names differ only in case or separators share an environment.
    """
    words = re.sub(r"[^a-z0-9]+", "-", branch.lower()).strip("-")
    name = words if words.startswith(FEATURE_PREFIX) else FEATURE_PREFIX + words
    return shortened(name, MAX_NAME_LENGTH, of=branch)
