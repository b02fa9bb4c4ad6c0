"""The first app: what does not churn."""

import infra.constructs  # noqa: F401 - picks Node before cdktn is imported
