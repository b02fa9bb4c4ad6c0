"""Provenance of a pushed image: whose it is, in both versions of SLSA, and for one platform or several."""

import json
from typing import Any

import pytest

from devtools.provenance import builder_of, faults_of, main

COMMIT = "5d6e7f8"
HOME = "https://github.com/shop/orders/"
RUN = f"{HOME}actions/runs/7"
GITHUB = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "shop/orders"}


def version_0_2(commit: str = COMMIT, builder: str = RUN) -> dict[str, Any]:
    args = {"build-arg:COMMIT": commit, "filename": "services/order-api/Dockerfile"}
    return {"SLSA": {"builder": {"id": builder}, "invocation": {"parameters": {"args": args}}}}


def version_1(commit: str = COMMIT, builder: str = RUN) -> dict[str, Any]:
    request = {"frontend": "dockerfile.v0", "args": {"build-arg:COMMIT": commit}}
    definition = {"buildDefinition": {"externalParameters": {"request": request}}}
    return {"SLSA": {**definition, "runDetails": {"builder": {"id": builder}}}}


@pytest.mark.parametrize("made", [version_0_2, version_1])
def test_an_image_of_ours(made: Any) -> None:
    both = {"linux/amd64": made(), "linux/arm64": made()}
    assert faults_of(both, commit=COMMIT, builder=HOME) == []
    assert faults_of(made(), commit=COMMIT, builder=HOME) == []
    assert faults_of(made(builder=""), commit=COMMIT, builder="") == []


@pytest.mark.parametrize("made", [version_0_2, version_1])
def test_an_image_of_others(made: Any) -> None:
    mixed = {"linux/amd64": made(), "linux/arm64": made(commit="0badc0de")}
    assert faults_of(mixed, commit=COMMIT, builder=HOME) == [f"linux/arm64 was built from 0badc0de, not from {COMMIT}"]
    foreign = made(builder="https://github.com/shop/orders-fork/actions/runs/7")
    (fault,) = faults_of(foreign, commit=COMMIT, builder=HOME)
    assert "was built by https://github.com/shop/orders-fork/" in fault
    (fault,) = faults_of(made(builder=""), commit=COMMIT, builder=HOME)
    assert "an unknown builder" in fault


@pytest.mark.parametrize("nothing", [None, {}, [], "null"])
def test_an_image_without_provenance(nothing: object) -> None:
    assert faults_of(nothing, commit=COMMIT, builder=HOME) == ["it has no provenance"]


@pytest.mark.parametrize("empty", [{"linux/amd64": None}, {"linux/amd64": {}}, {"SLSA": {}}, {"SLSA": {"builder": 1}}])
def test_a_platform_without_provenance(empty: object) -> None:
    assert any("an unknown commit" in fault for fault in faults_of(empty, commit=COMMIT, builder=""))


def test_a_builder_is_known_in_a_workflow_only() -> None:
    assert builder_of(GITHUB) == HOME
    assert builder_of({}) == ""


def test_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("order-api:sha-1", COMMIT, json.dumps(version_1()), GITHUB) is None
    assert capsys.readouterr().out == f"order-api:sha-1 exists already, built from {COMMIT}\n"
    refused = main("order-api:sha-1", COMMIT, json.dumps(version_1("0badc0de")), GITHUB)
    assert refused is not None
    assert f"make push TAG=sha-{COMMIT}-2" in refused
    assert "cannot be read" in (main("order-api:sha-1", COMMIT, "", GITHUB) or "")
