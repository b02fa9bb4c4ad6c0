"""The account's part in one region: image repositories, and, in its own region, what it has once."""

from cdktn import App
from cdktn_provider_aws.ecs_account_setting_default import EcsAccountSettingDefault

from infra.constructs.boundary import make_boundary, make_identity_provider
from infra.constructs.keys import Key
from infra.constructs.outputs import RegistryOutputs
from infra.constructs.registry import Repository
from infra.constructs.workspace import Workspace
from infra.environments import ORGANISATION
from infra.stacks import ACCOUNT, SERVICES, Kind, Stack


class Registry(Workspace):
    def __init__(self, app: App, region: str) -> None:
        super().__init__(app, Stack(ACCOUNT, region, Kind.REGISTRY))
        key = Key(self, "images", description="Images of the order platform")
        api, processor = (Repository(self, service, key).repository for service in SERVICES)
        # More tasks on an instance than it has network interfaces.
        EcsAccountSettingDefault(self, "trunking", name="awsvpcTrunking", value="enabled")
        if region == ORGANISATION.region:
            make_boundary(self)
            make_identity_provider(self)
        self.publish(
            RegistryOutputs(
                api_repository_url=api.repository_url,
                processor_repository_url=processor.repository_url,
                api_repository_arn=api.arn,
                processor_repository_arn=processor.arn,
            )
        )
