"""Convert a deployment configuration from and to its API form. Omitted members keep their values."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fake_ecs.errors import ApiError, invalid
from fake_ecs.model import FULL, Configuration, HookAction, PauseHook, Stage, Strategy

PAUSE = "PAUSE"
MAX_BAKE_MINUTES = 1440
LEAST_CANARY, LEAST_STEP = 0.1, 3.0
"""Least percentages of a step, of a canary and of a linear shift."""

Json = dict[str, Any]


def read(given: Mapping[str, Any], before: Configuration) -> Configuration:
    """Return the configuration `before`, changed by the given members.

    Raises ApiError for values that ECS rejects or the fake does not support.
    """
    changes: Json = {}
    if "strategy" in given:
        changes["strategy"] = Strategy(given["strategy"])
    if "bakeTimeInMinutes" in given:
        changes["bake_minutes"] = given["bakeTimeInMinutes"]
        if not 0 <= changes["bake_minutes"] <= MAX_BAKE_MINUTES:
            raise invalid(f"bakeTimeInMinutes must be between 0 and {MAX_BAKE_MINUTES}.")
    canary, linear = given.get("canaryConfiguration", {}), given.get("linearConfiguration", {})
    changes |= _shift_steps(canary, "canary", "canaryPercent", "canaryBakeTimeInMinutes", LEAST_CANARY)
    changes |= _shift_steps(linear, "step", "stepPercent", "stepBakeTimeInMinutes", LEAST_STEP)
    if "lifecycleHooks" in given:
        changes["hooks"] = tuple(_hook(hook) for hook in given["lifecycleHooks"])
    if "alarms" in given:
        alarms = given["alarms"]
        changes |= {
            "alarms": tuple(alarms["alarmNames"]),
            "alarms_enabled": alarms["enable"],
            "alarms_roll_back": alarms["rollback"],
        }
    if "deploymentCircuitBreaker" in given:
        breaker = given["deploymentCircuitBreaker"]
        changes |= {"breaker_enabled": breaker["enable"], "breaker_rolls_back": breaker["rollback"]}
    for name, key in (("minimumHealthyPercent", "minimum_healthy_percent"), ("maximumPercent", "maximum_percent")):
        if name in given:
            changes[key] = given[name]
    return replace(before, **changes)


def _shift_steps(given: Mapping[str, Any], prefix: str, percent: str, minutes: str, least: float) -> Json:
    if not least <= given.get(percent, FULL) <= FULL or not 0 <= given.get(minutes, 0) <= MAX_BAKE_MINUTES:
        raise invalid(f"{percent} must be between {least} and {FULL}, {minutes} between 0 and {MAX_BAKE_MINUTES}.")
    names = {percent: f"{prefix}_percent", minutes: f"{prefix}_bake_minutes"}
    return {name: given[key] for key, name in names.items() if key in given}


def _hook(given: Mapping[str, Any]) -> PauseHook:
    if given.get("targetType") != PAUSE:
        raise ApiError("UnsupportedFeatureException", "The fake supports only pause hooks, no Lambda functions.")
    unknown = set(given["lifecycleStages"]) - set(Stage)
    if unknown:
        raise ApiError("UnsupportedFeatureException", f"The fake has no hooks at {', '.join(sorted(unknown))}.")
    timeout = given.get("timeoutConfiguration", {})
    return PauseHook(
        frozenset(Stage(stage) for stage in given["lifecycleStages"]),
        timeout.get("timeoutInMinutes", PauseHook.timeout_minutes),
        HookAction(timeout.get("action", PauseHook.action)),
    )


def write(configuration: Configuration) -> Json:
    written: Json = {
        "strategy": configuration.strategy.value,
        "minimumHealthyPercent": configuration.minimum_healthy_percent,
        "maximumPercent": configuration.maximum_percent,
        "bakeTimeInMinutes": configuration.bake_minutes,
        "deploymentCircuitBreaker": {
            "enable": configuration.breaker_enabled,
            "rollback": configuration.breaker_rolls_back,
        },
        "lifecycleHooks": [
            {
                "targetType": PAUSE,
                "lifecycleStages": sorted(hook.stages),
                "timeoutConfiguration": {"timeoutInMinutes": hook.timeout_minutes, "action": hook.action.value},
            }
            for hook in configuration.hooks
        ],
    }
    if configuration.strategy is Strategy.CANARY:
        written["canaryConfiguration"] = {
            "canaryPercent": configuration.canary_percent,
            "canaryBakeTimeInMinutes": configuration.canary_bake_minutes,
        }
    if configuration.strategy is Strategy.LINEAR:
        written["linearConfiguration"] = {
            "stepPercent": configuration.step_percent,
            "stepBakeTimeInMinutes": configuration.step_bake_minutes,
        }
    if configuration.alarms:
        written["alarms"] = {
            "alarmNames": list(configuration.alarms),
            "enable": configuration.alarms_enabled,
            "rollback": configuration.alarms_roll_back,
        }
    return written
