"""Load balancer with an HTTPS listener for production and one for tests. HTTP is redirected.

By default, the listeners respond with 404; the stack of order-api adds rules that forward requests.
"""

from cdktn_provider_aws.acm_certificate import AcmCertificate
from cdktn_provider_aws.acm_certificate_validation import AcmCertificateValidation
from cdktn_provider_aws.data_aws_acm_certificate import DataAwsAcmCertificate
from cdktn_provider_aws.data_aws_route53_zone import DataAwsRoute53Zone
from cdktn_provider_aws.lb import Lb, LbAccessLogs
from cdktn_provider_aws.lb_listener import (
    LbListener,
    LbListenerDefaultAction,
    LbListenerDefaultActionFixedResponse,
    LbListenerDefaultActionRedirect,
)
from cdktn_provider_aws.route53_record import (
    Route53Record,
    Route53RecordAlias,
    Route53RecordWeightedRoutingPolicy,
)
from cdktn_provider_aws.security_group import SecurityGroup

from infra.constructs.access_logs import AccessLogs
from infra.constructs.network import ANYWHERE, HTTPS, Network
from infra.constructs.security_groups import egress_rule, ingress_rule, security_group
from infra.constructs.workspace import Workspace
from infra.environments import ORGANISATION, Environment
from infra.naming import TARGET_GROUP_LENGTH, name

HTTP = 80
TEST_PORT = 8443
API_PORT = 8080

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
"""TLS 1.3, and TLS 1.2 with forward secrecy. The key exchange is post-quantum if the client supports it."""

IDLE_SECONDS = 60
"""Idle timeout of connections. It is shorter than the API's keep-alive of 75 s, so that the API does not close a
connection that the load balancer is about to reuse."""


class LoadBalancer:
    def __init__(self, stack: Workspace, environment: Environment, network: Network) -> None:
        self._stack = stack
        self._environment = environment
        self.security_group = self._security_group(network)
        logs = AccessLogs(stack, environment)
        self.balancer = Lb(
            stack,
            "load_balancer",
            name=name(environment.name, "orders", limit=TARGET_GROUP_LENGTH),
            load_balancer_type="application",
            internal=False,
            subnets=[subnet.id for subnet in network.public_subnets],
            security_groups=[self.security_group.id],
            idle_timeout=IDLE_SECONDS,
            drop_invalid_header_fields=True,
            desync_mitigation_mode="strictest",
            enable_deletion_protection=environment.protected,
            access_logs=LbAccessLogs(bucket=logs.bucket.id, enabled=True),
            # AWS creates no public load balancer in a VPC without an internet gateway.
            depends_on=[logs.policy, network.internet_gateway],
        )
        self.zone = DataAwsRoute53Zone(stack, "zone", name=ORGANISATION.domain)
        certificate_arn = self._certificate_arn()
        self._redirect()
        self.https = self._listener("https", HTTPS, certificate_arn)
        self.test = self._listener("test", TEST_PORT, certificate_arn)
        self._record()

    def _security_group(self, network: Network) -> SecurityGroup:
        group = security_group(
            self._stack,
            "load_balancer_security_group",
            prefix=f"{self._environment.name}-load-balancer",
            description="HTTPS in, and on to the API port",
            vpc_id=network.vpc.id,
            keep_description=True,  # rules in the service stacks refer to this group
        )
        open_ports = [("http", HTTP, ANYWHERE), ("https", HTTPS, ANYWHERE)]
        # A label contains the network, not its number: a renumbered rule would conflict with its earlier copy.
        open_ports += [(f"test_{_label(cidr)}", TEST_PORT, cidr) for cidr in self._environment.test_cidrs]
        for label, port, cidr in open_ports:
            description = "Only to be redirected" if port == HTTP else "HTTPS"
            ingress_rule(
                self._stack, f"load_balancer_{label}_ingress", group, port, description=description, cidr_ipv4=cidr
            )
        egress_rule(
            self._stack,
            "load_balancer_egress",
            group,
            API_PORT,
            description="The API port within the VPC",
            cidr_ipv4=self._environment.cidr,
        )
        return group

    def _certificate_arn(self) -> str:
        if self._environment.certificate_domain:
            return DataAwsAcmCertificate(
                self._stack,
                "certificate",
                domain=self._environment.certificate_domain,
                statuses=["ISSUED"],
                most_recent=True,
            ).arn
        certificate = AcmCertificate(
            self._stack,
            "certificate",
            domain_name=self._environment.certificate_name,
            validation_method="DNS",
        )
        certificate.add_override("lifecycle", {"create_before_destroy": True})
        return AcmCertificateValidation(
            self._stack,
            "certificate_validation",
            certificate_arn=certificate.arn,
            validation_record_fqdns=[self._proof(certificate).fqdn],
        ).certificate_arn

    def _proof(self, certificate: AcmCertificate) -> Route53Record:
        """Create the DNS record that validates the certificate. It is the same in each region; any may create it."""
        proof = certificate.domain_validation_options.get(0)
        return Route53Record(
            self._stack,
            "certificate_proof",
            zone_id=self.zone.zone_id,
            name=proof.resource_record_name,
            type=proof.resource_record_type,
            records=[proof.resource_record_value],
            ttl=300,
            allow_overwrite=True,
        )

    def _redirect(self) -> None:
        LbListener(
            self._stack,
            "http_listener",
            load_balancer_arn=self.balancer.arn,
            port=HTTP,
            protocol="HTTP",
            default_action=[
                LbListenerDefaultAction(
                    type="redirect",
                    redirect=LbListenerDefaultActionRedirect(port=str(HTTPS), protocol="HTTPS", status_code="HTTP_301"),
                )
            ],
        )

    def _listener(self, label: str, port: int, certificate_arn: str) -> LbListener:
        return LbListener(
            self._stack,
            f"{label}_listener",
            load_balancer_arn=self.balancer.arn,
            port=port,
            protocol="HTTPS",
            ssl_policy=TLS_POLICY,
            certificate_arn=certificate_arn,
            default_action=[
                LbListenerDefaultAction(
                    type="fixed-response",
                    fixed_response=LbListenerDefaultActionFixedResponse(
                        content_type="application/json",
                        status_code="404",
                        message_body='{"title": "Not found", "status": 404, "code": "not_found"}',
                    ),
                )
            ],
        )

    def _record(self) -> None:
        """Create the DNS record of the API. If there are several regions, the home region receives all traffic.

        The record is weighted even with one region, because Route 53 allows no simple record beside a weighted one.
        """
        weight = 100 if self._stack.region == self._environment.home else 0
        Route53Record(
            self._stack,
            "record",
            zone_id=self.zone.zone_id,
            name=self._environment.certificate_name,
            type="A",
            alias=Route53RecordAlias(
                name=self.balancer.dns_name,
                zone_id=self.balancer.zone_id,
                # An idle target group counts as unhealthy, and operators, not health checks, choose the active region.
                evaluate_target_health=False,
            ),
            set_identifier=self._stack.region,
            weighted_routing_policy=Route53RecordWeightedRoutingPolicy(weight=weight),
        )


def _label(cidr: str) -> str:
    return cidr.replace(".", "_").replace("/", "_")
