"""First app: the long-lived resources."""

import infra.constructs  # noqa: F401 - selects Node before cdktn is imported
