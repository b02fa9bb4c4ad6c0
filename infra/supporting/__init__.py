"""CDK app with the long-lived resources, applied before `infra.services`."""

import infra.constructs  # noqa: F401 - selects Node before cdktn is imported
