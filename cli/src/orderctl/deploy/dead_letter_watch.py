"""Detection of new dead letters, which a new processor creates at once if it cannot read older messages."""

from typing import Any

from order_operations.deployments.fleet import Deployment
from order_shared.aws.queue_depth import depth_request, to_depth


class DeadLetterWatch:
    """Counter of the dead letters that appear after a deployment's first task started. `sqs` is a boto3 client."""

    def __init__(self, sqs: Any, queue_name: str) -> None:
        self._sqs = sqs
        self._queue_name = queue_name
        self._before: int | None = None

    def __call__(self, deployment: Deployment) -> str | None:
        """Return the reason to roll the deployment back; None without new dead letters, or while no new task runs."""
        count = self._count()
        if self._before is None or deployment.target.running == 0:
            self._before = count
            return None
        more = count - self._before
        return f"{more} new dead letters since the first task of the deployment" if more > 0 else None

    def _count(self) -> int:
        url = self._sqs.get_queue_url(QueueName=self._queue_name)["QueueUrl"]
        return to_depth(self._sqs.get_queue_attributes(**depth_request(url))).total
