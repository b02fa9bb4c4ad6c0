"""botocore session for the local stack, which needs no AWS account and no AWS configuration."""

import os

from botocore.session import Session

IGNORED = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "use_fips_endpoint": (None, None, False, None),
    "use_dualstack_endpoint": (None, None, False, None),
}
"""AWS settings of the user to ignore, as botocore session variables that have only a default."""


def isolated_session() -> Session:
    """Return a session that ignores the user's AWS files, profile and endpoint variants."""
    return Session(session_vars=IGNORED)
