"""The second app: one stack per service."""

import infra.constructs  # noqa: F401 - picks Node before cdktn is imported
