"""Supporting stack of an environment in one region. Deployments of services do not change it."""

from cdktn import App

from infra.constructs.ci_roles import CiRoles
from infra.constructs.cluster import Cluster
from infra.constructs.firewall import Firewall
from infra.constructs.keys import data_key, logs_key
from infra.constructs.load_balancer import LoadBalancer
from infra.constructs.logs import LogGroup
from infra.constructs.network import Network
from infra.constructs.outputs import PlatformOutputs, RegistryOutputs
from infra.constructs.topic import alarm_topic
from infra.constructs.workspace import Workspace
from infra.environments import Environment
from infra.stacks import ACCOUNT, REGISTRY, SUPPORTING, Stack
from infra.supporting.dashboard import make_dashboard
from infra.supporting.data import Data


class Supporting(Workspace):
    """Stack with the network, cluster, load balancer, data and CI roles of an environment."""

    def __init__(self, app: App, environment: Environment, region: str) -> None:
        super().__init__(app, Stack(owner=environment.name, region=region, kind=SUPPORTING))
        data_key_arn = data_key(self, protected=environment.protected).arn
        logs_key_arn = logs_key(self, protected=environment.protected).arn
        topic_arn = alarm_topic(self, key_arn=data_key_arn)
        flow_log = LogGroup(self, "vpc-flow", key_arn=logs_key_arn, days=environment.log_days)
        network = Network(self, environment, flow_log)
        cluster = Cluster(self, environment, network, logs_key_arn=logs_key_arn).cluster
        load_balancer = LoadBalancer(self, environment, network)
        if environment.waf:
            Firewall(self, environment, load_balancer_arn=load_balancer.balancer.arn, logs_key_arn=logs_key_arn)
        data = Data(
            self,
            environment,
            data_key_arn=data_key_arn,
            logs_key_arn=logs_key_arn,
            topic_arn=topic_arn,
            replica_key_arns=self._replica_keys(environment),
        )
        make_dashboard(self, environment, load_balancer.balancer.arn_suffix)
        images = self.read(RegistryOutputs, Stack(owner=ACCOUNT, region=region, kind=REGISTRY))
        CiRoles(self, environment, images, data.outputs, data_key=data_key_arn, logs_key=logs_key_arn)
        self.publish(
            PlatformOutputs(
                vpc_id=network.vpc.id,
                private_subnet_ids=tuple(subnet.id for subnet in network.private_subnets),
                gateway_prefix_list_ids=tuple(endpoint.prefix_list_id for endpoint in network.gateway_endpoints),
                cluster_arn=cluster.arn,
                cluster_name=cluster.name,
                load_balancer_arn_suffix=load_balancer.balancer.arn_suffix,
                load_balancer_security_group_id=load_balancer.security_group.id,
                https_listener_arn=load_balancer.https.arn,
                test_listener_arn=load_balancer.test.arn,
                data_key_arn=data_key_arn,
                logs_key_arn=logs_key_arn,
                alarm_topic_arn=topic_arn,
            )
        )
        self.publish(data.outputs)

    def _replica_keys(self, environment: Environment) -> dict[str, str]:
        """Return the ARN of the data key of each region with replicas, whose stack must exist before this one.

        The result is empty in all regions except the first, which owns the tables.
        """
        if self.region != environment.regions[0]:
            return {}
        return {
            region: self.read(
                PlatformOutputs, Stack(owner=environment.name, region=region, kind=SUPPORTING)
            ).data_key_arn
            for region in environment.regions[1:]
        }


class FeatureSupporting(Workspace):
    """Stack with the data of a feature environment, which uses its host's other resources."""

    def __init__(self, app: App, environment: Environment, host: str) -> None:
        region = environment.home
        super().__init__(app, Stack(owner=environment.name, region=region, kind=SUPPORTING))
        platform = self.read(PlatformOutputs, Stack(owner=host, region=region, kind=SUPPORTING))
        data = Data(
            self,
            environment,
            data_key_arn=platform.data_key_arn,
            logs_key_arn=platform.logs_key_arn,
            topic_arn=platform.alarm_topic_arn,
            replica_key_arns={},
        )
        self.publish(data.outputs)
