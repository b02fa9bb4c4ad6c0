"""Name of the feature environment of a branch."""

import re
from hashlib import sha256

from infra.environments import FEATURE_PREFIX, MAX_NAME_LENGTH

HASH_LENGTH = 8


def environment_of_branch(branch: str) -> str:
    """Return the name of a branch's environment: `feat/Login_page` → `feat-login-page-` and a hash of the branch.

    Branches whose names differ only in case or separators have different environments, so that the deletion of one does
    not destroy the data of the other.
    """
    words = re.sub(r"[^a-z0-9]+", "-", branch.lower()).strip("-")
    name = words if words.startswith(FEATURE_PREFIX) else FEATURE_PREFIX + words
    digest = sha256(branch.encode()).hexdigest()[:HASH_LENGTH]
    return f"{name[: MAX_NAME_LENGTH - HASH_LENGTH - 1].rstrip('-')}-{digest}"
