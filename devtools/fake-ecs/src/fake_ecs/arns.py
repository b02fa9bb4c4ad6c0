"""ARNs of resources in ECS, Elastic Load Balancing and CloudWatch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Arns:
    region: str
    account: str

    def of(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def cluster(self, name: str) -> str:
        return self.of("ecs", f"cluster/{name}")

    def service(self, cluster: str, name: str) -> str:
        return self.of("ecs", f"service/{cluster}/{name}")

    def deployment(self, cluster: str, service: str, deployment_id: str) -> str:
        return self.of("ecs", f"service-deployment/{cluster}/{service}/{deployment_id}")

    def revision(self, cluster: str, service: str, revision_id: str) -> str:
        return self.of("ecs", f"service-revision/{cluster}/{service}/{revision_id}")

    def task_definition(self, name: str) -> str:
        """Return the ARN of the task definition with the name `family:revision`."""
        return self.of("ecs", f"task-definition/{name}")


def last(name_or_arn: str) -> str:
    """Return the name at the end of an ARN. A plain name is returned unchanged."""
    return name_or_arn.rpartition("/")[2]
