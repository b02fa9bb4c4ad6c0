"""CDK app with one stack per service, applied after `infra.supporting`."""

import infra.constructs  # noqa: F401 - selects Node before cdktn is imported
