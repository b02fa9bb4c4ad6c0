"""Registry stack of an account and region: image repositories, and in one region also the account-wide resources."""

from cdktn import App
from cdktn_provider_aws.ecs_account_setting_default import EcsAccountSettingDefault

from infra.constructs.boundary import make_boundary, make_feature_boundary, make_identity_provider
from infra.constructs.keys import Key
from infra.constructs.outputs import RegistryOutputs
from infra.constructs.registry import Repository
from infra.constructs.workspace import Workspace
from infra.environments import ORGANISATION
from infra.stacks import ACCOUNT, REGISTRY, Stack
from order_shared.naming import SERVICE_NAMES, repository_name


class Registry(Workspace):
    def __init__(self, app: App, region: str) -> None:
        super().__init__(app, Stack(owner=ACCOUNT, region=region, kind=REGISTRY))
        key = Key(self, "images", description="Images of the order platform")
        repositories, features = (
            {
                service: Repository(self, repository_name(service, is_feature=is_feature), key).repository
                for service in SERVICE_NAMES
            }
            for is_feature in (False, True)
        )
        # ENI trunking allows more tasks on an EC2 instance than it has network interfaces.
        EcsAccountSettingDefault(self, "trunking", name="awsvpcTrunking", value="enabled")
        if region == ORGANISATION.region:
            make_boundary(self)
            make_feature_boundary(self)
            make_identity_provider(self)
        self.publish(
            RegistryOutputs(
                repository_urls={service: each.repository_url for service, each in repositories.items()},
                repository_arns={service: each.arn for service, each in repositories.items()},
                feature_repository_urls={service: each.repository_url for service, each in features.items()},
                feature_repository_arns={service: each.arn for service, each in features.items()},
            )
        )
