"""Values that the sandbox and the processes that use it share."""

API_KEY = "sk_test_local"
API_KEY_PREFIX = "sk_test_"
"""The sandbox accepts every key that begins so."""

SLOW_SECONDS = 3.0
"""Default duration of a slow payment."""
