"""Second app: one stack per service."""

import infra.constructs  # noqa: F401 - selects Node before cdktn is imported
