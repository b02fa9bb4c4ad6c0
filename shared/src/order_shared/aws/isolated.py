"""botocore session for the local stack, which needs no AWS account and no AWS configuration."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botocore.session import Session

IGNORED = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "use_fips_endpoint": (None, None, False, None),
    "use_dualstack_endpoint": (None, None, False, None),
}
"""botocore session variables of the ignored settings: each has a default, but no environment variable or file entry."""


def isolated_session() -> "Session":
    """Return a session that ignores the user's AWS files, profile and endpoint variants."""
    from botocore.session import Session  # noqa: PLC0415 - its import takes long

    return Session(session_vars=IGNORED)
