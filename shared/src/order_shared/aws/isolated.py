"""A session of botocore for the local stack, which needs no account and no configuration of AWS."""

import os

from botocore.session import Session

IGNORED = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "use_fips_endpoint": (None, None, False, None),
    "use_dualstack_endpoint": (None, None, False, None),
}
"""Settings that a user may have for AWS itself, as botocore's session variables: each with its default alone."""


def isolated_session() -> Session:
    """Return a session that reads neither the user's AWS files nor a profile, nor chooses another kind of endpoint."""
    return Session(session_vars=IGNORED)
