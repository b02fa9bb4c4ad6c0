"""Elastic Load Balancing for blue/green deployments: rules with weights, target groups with targets.

The embedded AWS cannot be used, since it drops the weights of forward actions. A target is `initial` until its health
checks have passed, and `draining` for a time after it was deregistered.
"""

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fake_ecs import conditions
from fake_ecs.arns import Arns
from fake_ecs.errors import ApiError
from fake_ecs.timing import Clock, Timing

Json = dict[str, Any]

INITIAL, HEALTHY, DRAINING = "initial", "healthy", "draining"
REASONS = {INITIAL: "Elb.RegistrationInProgress", DRAINING: "Target.DeregistrationInProgress"}


@dataclass
class Target:
    description: Json
    healthy_at: datetime
    gone_at: datetime | None = None
    """End of the draining; None while the target is registered."""

    def state(self, now: datetime) -> str | None:
        """Return the health state; None after the draining."""
        if self.gone_at is not None:
            return DRAINING if now < self.gone_at else None
        return HEALTHY if now >= self.healthy_at else INITIAL


def _health(state: str) -> Json:
    return {"State": state, **({"Reason": REASONS[state]} if state in REASONS else {})}


class Balancer:
    name = "elbv2"

    def __init__(self, arns: Arns, clock: Clock, timing: Timing) -> None:
        self._clock = clock
        self._timing = timing
        self.lock = threading.RLock()
        self._arns = arns
        self._balancers: dict[str, Json] = {}
        self._listeners: dict[str, Json] = {}
        self._rules: dict[str, Json] = {}
        self._listener_of: dict[str, str] = {}
        """Listener ARN by rule."""
        self._groups: dict[str, Json] = {}
        self._targets: dict[str, dict[str, Target]] = {}
        """Targets by group and address."""

    def create_load_balancer(self, request: Json) -> Json:
        arn = self._arn(f"loadbalancer/app/{request['Name']}/{_id()}")
        self._balancers[arn] = {
            "LoadBalancerArn": arn,
            "LoadBalancerName": request["Name"],
            "DNSName": f"{request['Name']}.{self._arns.region}.elb.amazonaws.com",
            "State": {"Code": "active"},
            "Type": "application",
        }
        return {"LoadBalancers": [self._balancers[arn]]}

    def create_listener(self, request: Json) -> Json:
        balancer = self._find(self._balancers, request["LoadBalancerArn"], "LoadBalancer")
        resource = balancer["LoadBalancerArn"].partition(":loadbalancer/")[2]
        arn = self._arn(f"listener/{resource}/{_id()}")
        self._listeners[arn] = {
            "ListenerArn": arn,
            "LoadBalancerArn": balancer["LoadBalancerArn"],
            "DefaultActions": request["DefaultActions"],
            **{key: request[key] for key in ("Port", "Protocol") if key in request},
        }
        return {"Listeners": [self._listeners[arn]]}

    def describe_listeners(self, request: Json) -> Json:
        if "ListenerArns" in request:
            return {"Listeners": [self._find(self._listeners, arn, "Listener") for arn in request["ListenerArns"]]}
        balancer = request.get("LoadBalancerArn")
        return {"Listeners": [each for each in self._listeners.values() if each["LoadBalancerArn"] == balancer]}

    def create_target_group(self, request: Json) -> Json:
        arn = self._arn(f"targetgroup/{request['Name']}/{_id()}")
        kept = ("Protocol", "Port", "VpcId", "TargetType", "HealthCheckPath", "Matcher")
        self._groups[arn] = {
            "TargetGroupArn": arn,
            "TargetGroupName": request["Name"],
            **{key: request[key] for key in kept if key in request},
        }
        self._targets[arn] = {}
        return {"TargetGroups": [self._groups[arn]]}

    def create_rule(self, request: Json) -> Json:
        self._find(self._listeners, request["ListenerArn"], "Listener")
        resource = request["ListenerArn"].partition(":listener/")[2]
        arn = self._arn(f"listener-rule/{resource}/{_id()}")
        self._ensure_groups(request["Actions"])
        conditions.ensure_known(request["Conditions"])
        self._rules[arn] = {
            "RuleArn": arn,
            "Priority": str(request["Priority"]),
            "Conditions": request["Conditions"],
            "Actions": request["Actions"],
            "IsDefault": False,
        }
        self._listener_of[arn] = request["ListenerArn"]
        return {"Rules": [self._rules[arn]]}

    def describe_rules(self, request: Json) -> Json:
        if "RuleArns" in request:
            return {"Rules": [self._find(self._rules, arn, "Rule") for arn in request["RuleArns"]]}
        listener = request.get("ListenerArn")
        return {"Rules": [rule for arn, rule in self._rules.items() if self._listener_of[arn] == listener]}

    def modify_rule(self, request: Json) -> Json:
        rule = self._find(self._rules, request["RuleArn"], "Rule")
        self._ensure_groups(request.get("Actions", []))
        conditions.ensure_known(request.get("Conditions", []))
        rule.update({key: request[key] for key in ("Actions", "Conditions") if key in request})
        return {"Rules": [rule]}

    def register_targets(self, request: Json) -> Json:
        group = self._find(self._groups, request["TargetGroupArn"], "TargetGroup")
        for target in request["Targets"]:
            whole = {"Port": group.get("Port", 80), **target}
            healthy_at = self._timing.after(self._clock(), self._timing.health)
            self._targets[group["TargetGroupArn"]][target["Id"]] = Target(whole, healthy_at)
        return {}

    def deregister_targets(self, request: Json) -> Json:
        group = self._find(self._groups, request["TargetGroupArn"], "TargetGroup")
        for target in request["Targets"]:
            known = self._targets[group["TargetGroupArn"]].get(target["Id"])
            if known is not None and known.gone_at is None:
                known.gone_at = self._timing.after(self._clock(), self._timing.drain)
        return {}

    def describe_target_health(self, request: Json) -> Json:
        group = self._find(self._groups, request["TargetGroupArn"], "TargetGroup")
        return {
            "TargetHealthDescriptions": [
                {"Target": target.description, "TargetHealth": _health(state)}
                for target, state in self._states(group["TargetGroupArn"])
            ]
        }

    def settle(self) -> None:
        """Let all registered targets be healthy now, as those of services that have existed for long."""
        with self.lock:
            for targets in self._targets.values():
                for target in targets.values():
                    target.healthy_at = self._clock()

    def action(self, port: int, *, host: str, path: str) -> Json:
        """Return the action of the first rule, by priority, that matches the request, or the default action.

        Raises ApiError if no listener has the port.
        """
        with self.lock:
            listener = next((each for each in self._listeners.values() if each["Port"] == port), None)
            if listener is None:
                raise ApiError("ListenerNotFound", f"No listener has port {port}")
            rules = [self._rules[arn] for arn, of in self._listener_of.items() if of == listener["ListenerArn"]]
            for rule in sorted(rules, key=lambda rule: int(rule["Priority"])):
                if conditions.matches(rule["Conditions"], host=host, path=path):
                    return dict(rule["Actions"][-1])
            return dict(listener["DefaultActions"][-1])

    def addresses(self, group_arn: str) -> list[str]:
        """Return the addresses that get requests: of healthy targets, or of all registered ones if none is healthy."""
        with self.lock:
            states = [(target.description["Id"], state) for target, state in self._states(group_arn)]
        return [address for address, state in states if state == HEALTHY] or [
            address for address, state in states if state == INITIAL
        ]

    def _states(self, group_arn: str) -> list[tuple["Target", str]]:
        now = self._clock()
        return [
            (target, state) for target in self._targets[group_arn].values() if (state := target.state(now)) is not None
        ]

    def _ensure_groups(self, actions: list[Json]) -> None:
        for action in actions:
            for each in action.get("ForwardConfig", {}).get("TargetGroups", ()):
                self._find(self._groups, each["TargetGroupArn"], "TargetGroup")

    def _find(self, things: Mapping[str, Json], arn: str, kind: str) -> Json:
        if arn not in things:
            raise ApiError(f"{kind}NotFound", f"{kind} '{arn}' not found")
        return things[arn]

    def _arn(self, resource: str) -> str:
        return self._arns.of("elasticloadbalancing", resource)


def _id() -> str:
    return secrets.token_hex(8)
