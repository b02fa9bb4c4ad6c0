"""A new processor that cannot read what an old one could shows at once: in the dead letters."""

from typing import Any

from order_shared.aws.queue_depth import depth_request, to_depth
from orderctl.deploy.fleet import Deployment


class DeadLetterWatch:
    """Counts from the first look at a deployment on. `sqs` is a boto3 client."""

    def __init__(self, sqs: Any, queue_name: str) -> None:
        self._sqs = sqs
        self._queue_name = queue_name
        self._before: int | None = None

    def __call__(self, deployment: Deployment) -> str | None:
        """Why the deployment must not go on; None if it may, or if its image has no task yet."""
        count = self._count()
        if self._before is None or deployment.target.running == 0:
            self._before = count
            return None
        more = count - self._before
        return f"{more} more dead letters since its first task" if more > 0 else None

    def _count(self) -> int:
        url = self._sqs.get_queue_url(QueueName=self._queue_name)["QueueUrl"]
        return to_depth(self._sqs.get_queue_attributes(**depth_request(url))).total
