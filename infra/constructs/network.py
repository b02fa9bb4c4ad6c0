"""VPC in three availability zones: public subnets for the load balancer, private subnets for tasks, and the egress."""

import ipaddress

from cdktn import TerraformResourceLifecycle
from cdktn_provider_aws.default_security_group import DefaultSecurityGroup
from cdktn_provider_aws.eip import Eip
from cdktn_provider_aws.flow_log import FlowLog
from cdktn_provider_aws.internet_gateway import InternetGateway
from cdktn_provider_aws.nat_gateway import NatGateway
from cdktn_provider_aws.route import Route
from cdktn_provider_aws.route_table import RouteTable
from cdktn_provider_aws.route_table_association import RouteTableAssociation
from cdktn_provider_aws.subnet import Subnet
from cdktn_provider_aws.vpc import Vpc
from cdktn_provider_aws.vpc_endpoint import VpcEndpoint

from infra.constructs.logs import LogGroup
from infra.constructs.policies import Statement, trust
from infra.constructs.roles import Role
from infra.constructs.security_groups import ingress_rule, security_group
from infra.constructs.workspace import Workspace
from infra.environments import ZONES, Egress, Environment

ANYWHERE = "0.0.0.0/0"
HTTPS = 443

GATEWAY_SERVICES = ("s3", "dynamodb")
"""AWS services with a gateway endpoint in every VPC, since it is free. Image layers come from S3."""


class Network:
    """Network of an environment. It depends on no cluster, load balancer or data, so it can be destroyed last."""

    def __init__(self, stack: Workspace, environment: Environment, flow_log: LogGroup) -> None:
        self._stack = stack
        self._environment = environment
        self.vpc = Vpc(
            stack,
            "vpc",
            cidr_block=environment.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={"Name": environment.name},
        )
        # A resource without a security group gets this default group, which allows nothing.
        DefaultSecurityGroup(stack, "default_security_group", vpc_id=self.vpc.id)
        blocks = _blocks(environment.cidr)
        self.public_subnets = [
            self._subnet(f"public_{zone}", blocks[zone], _zone(stack, environment, zone)) for zone in range(ZONES)
        ]
        self.private_subnets = [
            self._subnet(f"private_{zone}", blocks[ZONES + zone], _zone(stack, environment, zone))
            for zone in range(ZONES)
        ]
        self._open_to_the_internet()
        self.private_routes = [
            self._routes(f"private_{zone}", subnet) for zone, subnet in enumerate(self.private_subnets)
        ]
        self._nat()
        self.gateway_endpoints = [self._gateway_endpoint(service) for service in GATEWAY_SERVICES]
        self._interface_endpoints()
        self._log_flows(flow_log)

    def _subnet(self, label: str, cidr: str, zone: str) -> Subnet:
        return Subnet(
            self._stack,
            label,
            vpc_id=self.vpc.id,
            cidr_block=cidr,
            availability_zone=zone,
            map_public_ip_on_launch=False,
            tags={"Name": f"{self._environment.name}-{label.replace('_', '-')}"},
        )

    def _routes(self, label: str, subnet: Subnet) -> RouteTable:
        table = RouteTable(
            self._stack,
            f"{label}_routes",
            vpc_id=self.vpc.id,
            tags={"Name": f"{self._environment.name}-{label.replace('_', '-')}"},
        )
        RouteTableAssociation(self._stack, f"{label}_routes_association", subnet_id=subnet.id, route_table_id=table.id)
        return table

    def _open_to_the_internet(self) -> None:
        self.internet_gateway = InternetGateway(self._stack, "internet_gateway", vpc_id=self.vpc.id)
        for zone, subnet in enumerate(self.public_subnets):
            Route(
                self._stack,
                f"public_{zone}_route",
                route_table_id=self._routes(f"public_{zone}", subnet).id,
                destination_cidr_block=ANYWHERE,
                gateway_id=self.internet_gateway.id,
            )

    def _nat(self) -> None:
        count = {Egress.NAT_SINGLE: 1, Egress.NAT_PER_ZONE: ZONES, Egress.ENDPOINTS: 0}[self._environment.egress]
        gateways = []
        for zone in range(count):
            address = Eip(self._stack, f"nat_{zone}_address", domain="vpc", depends_on=[self.internet_gateway])
            gateways.append(
                NatGateway(
                    self._stack,
                    f"nat_{zone}",
                    allocation_id=address.allocation_id,
                    subnet_id=self.public_subnets[zone].id,
                    depends_on=[self.internet_gateway],
                    # A gateway is destroyed only after the routes that use it have changed to another one.
                    lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
                )
            )
        for zone, table in enumerate(self.private_routes if gateways else ()):
            Route(
                self._stack,
                f"private_{zone}_route",
                route_table_id=table.id,
                destination_cidr_block=ANYWHERE,
                nat_gateway_id=gateways[zone % count].id,
            )

    def _gateway_endpoint(self, service: str) -> VpcEndpoint:
        return VpcEndpoint(
            self._stack,
            f"{service}_endpoint",
            vpc_id=self.vpc.id,
            service_name=f"com.amazonaws.{self._stack.region}.{service}",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in self.private_routes],
            tags={"Name": f"{self._environment.name}-{service}"},
        )

    def _interface_endpoints(self) -> None:
        services = self._environment.endpoint_services
        if not services:
            return
        group = security_group(
            self._stack,
            "endpoints_security_group",
            prefix=f"{self._environment.name}-endpoints",
            description="Interface endpoints: HTTPS from within the VPC",
            vpc_id=self.vpc.id,
        )
        ingress_rule(
            self._stack,
            "endpoints_ingress",
            group,
            HTTPS,
            description="HTTPS from within the VPC",
            cidr_ipv4=self._environment.cidr,
        )
        for service in services:
            VpcEndpoint(
                self._stack,
                f"{service.replace('.', '_').replace('-', '_')}_endpoint",
                vpc_id=self.vpc.id,
                service_name=f"com.amazonaws.{self._stack.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet.id for subnet in self.private_subnets],
                security_group_ids=[group.id],
                tags={"Name": f"{self._environment.name}-{service.replace('.', '-')}"},
            )

    def _log_flows(self, flow_log: LogGroup) -> None:
        role = Role(
            self._stack,
            "flow_log",
            description="Writes the VPC's flow log",
            # Condition: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
            trust=trust("vpc-flow-logs.amazonaws.com", {"StringEquals": {"aws:SourceAccount": self._stack.account_id}}),
            statements=(
                Statement(
                    sid="WriteFlowLog",
                    actions=["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                    resources=[flow_log.streams_arn],
                ),
                Statement(
                    sid="FindLogGroup",
                    actions=["logs:DescribeLogGroups"],
                    resources=["*"],
                    wildcard="a list of groups takes no resource",
                ),
            ),
        )
        FlowLog(
            self._stack,
            "vpc_flow_log",
            vpc_id=self.vpc.id,
            traffic_type="ALL",
            iam_role_arn=role.arn,
            log_destination=flow_log.arn,
            depends_on=role.policies,
        )


def _zone(stack: Workspace, environment: Environment, number: int) -> str:
    """Return the name of a zone, by its configured letter: the order of AWS's list of zones could change."""
    return f"{stack.region}{environment.zones[number]}"


def _blocks(cidr: str) -> list[str]:
    """Split the VPC's address range into eight equal blocks: six for the subnets, and two in reserve."""
    return [str(block) for block in ipaddress.ip_network(cidr).subnets(prefixlen_diff=3)]
