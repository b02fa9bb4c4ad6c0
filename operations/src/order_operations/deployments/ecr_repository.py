"""ECR repository of a service: its images, their scans, and its tags."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2
from botocore.exceptions import ClientError

from aws_json_client.proxies import proxy_for
from order_operations.deployments.errors import DeploymentRefused, ImageNotFound

INDEX_TYPES = frozenset(
    {
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.index.v1+json",
    }
)
MANIFEST_TYPES = (
    *sorted(INDEX_TYPES),
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
ATTESTATION = "unknown"
"""Architecture of those entries of an index that are attestations, not images."""

SYSTEM = "linux"
"""Operating system of every task. An index may have images of other systems for the same architecture."""

CONFIG_TIMEOUT = 10.0

REVISION_LABEL = "org.opencontainers.image.revision"
VERSION_LABEL = "org.opencontainers.image.version"


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Result of an image scan. `status` is ECR's scan status, such as COMPLETE or FAILED; "" if there is no scan."""

    status: str = ""
    findings: Mapping[str, int] = field(default_factory=dict)
    """Number of findings by severity: CRITICAL, HIGH, …"""

    @property
    def is_in_progress(self) -> bool:
        return self.status in {"IN_PROGRESS", "PENDING"}

    @property
    def is_complete(self) -> bool:
        return self.status in {"COMPLETE", "ACTIVE"}


@dataclass(frozen=True, kw_only=True)
class Image:
    digest: str
    tags: tuple[str, ...]
    media_type: str
    pushed_at: datetime | None = None
    architectures: Mapping[str, str] = field(default_factory=dict)
    """Digest of the manifest for each architecture, such as `arm64`."""

    @property
    def commit(self) -> str | None:
        """Commit from the tag `sha-<commit>`; None if the image has no such tag."""
        return next((tag.removeprefix("sha-") for tag in self.tags if tag.startswith("sha-")), None)


class EcrRepository:
    """ECR repository with this name. `ecr` is a boto3 client."""

    def __init__(self, ecr: Any, name: str) -> None:
        self._ecr = ecr
        self.name = name
        self._indexes: dict[str, str] = {}
        """Digest of the index, or of the image itself, by the digest that ECS reports."""

    def digest_of(self, tag: str) -> str | None:
        """Return the digest of the image with this tag, or None."""
        described = self._describe({"imageTag": tag})
        return None if described is None else str(described["imageDigest"])

    def get(self, reference: str) -> Image:
        """Return an image by tag or digest (`sha256:…`). Raises ImageNotFound, DeploymentRefused."""
        described = self._describe(_identifier(reference))
        if described is None:
            raise ImageNotFound(self.name, reference)
        digest = described["imageDigest"]
        manifest, media_type = self._manifest({"imageDigest": digest})
        return Image(
            digest=digest,
            tags=tuple(sorted(described.get("imageTags", ()))),
            media_type=media_type,
            pushed_at=described.get("imagePushedAt"),
            architectures=self._architectures(digest, manifest, media_type),
        )

    def index_of(self, digest: str) -> str:
        """Return the digest that a tag is moved to, for a digest that ECS reports: of an index or of its platform.

        An image that belongs to no index, or that was deleted, is returned as it is.
        """
        if digest not in self._indexes:
            self._indexes[digest] = self._find_index(digest)
        return self._indexes[digest]

    def _find_index(self, digest: str) -> str:
        described = self._describe({"imageDigest": digest})
        is_index = described is not None and described.get("imageManifestMediaType") in INDEX_TYPES
        if described is None or is_index or described.get("imageTags"):
            return digest
        for index in self._index_digests():
            manifest, _ = self._manifest({"imageDigest": index})
            if digest in {entry["digest"] for entry in manifest["manifests"]}:
                return index
        return digest

    def _index_digests(self) -> Iterator[str]:
        pages = self._ecr.get_paginator("describe_images").paginate(repositoryName=self.name)
        for page in pages:
            for image in page["imageDetails"]:
                if image.get("imageManifestMediaType") in INDEX_TYPES:
                    yield image["imageDigest"]

    def scan_of(self, digest: str) -> Scan:
        """Return the scan of a single image by its digest. ECR scans the images of an index, not the index itself."""
        try:
            answer = self._ecr.describe_image_scan_findings(repositoryName=self.name, imageId={"imageDigest": digest})
        except ClientError as error:
            if _code(error) == "ScanNotFoundException":
                return Scan()
            raise
        findings = answer.get("imageScanFindings", {}).get("findingSeverityCounts", {})
        return Scan(status=answer["imageScanStatus"]["status"], findings=findings)

    def labels_of(self, image: Image) -> Mapping[str, str]:
        """Return the image's labels, such as its commit, from one architecture: they are the same on all."""
        digest = next(iter(image.architectures.values()), None)
        if digest is None:
            return {}
        manifest, _ = self._manifest({"imageDigest": digest})
        return dict(self._config(manifest).get("config", {}).get("Labels") or {})

    def commit_of(self, image: Image) -> str | None:
        """Return the commit that the image was built from, taken from its tag or label; None if neither names one."""
        return image.commit or self.labels_of(image).get(REVISION_LABEL) or None

    def move(self, tag: str, digest: str) -> None:
        """Point the tag at an image of the repository, or at an index with the images of all architectures.

        Raises:
            ImageNotFound: if the repository has no such image.
        """
        manifest, media_type = self._raw_manifest({"imageDigest": digest})
        try:
            self._ecr.put_image(
                repositoryName=self.name,
                imageManifest=manifest,
                imageManifestMediaType=media_type,
                imageTag=tag,
                imageDigest=digest,
            )
        except ClientError as error:
            if _code(error) != "ImageAlreadyExistsException":  # the tag points to the image already
                raise

    def _describe(self, identifier: Mapping[str, str]) -> dict[str, Any] | None:
        try:
            answer = self._ecr.describe_images(repositoryName=self.name, imageIds=[dict(identifier)])
        except ClientError as error:
            if _code(error) == "ImageNotFoundException":
                return None
            raise
        details: list[dict[str, Any]] = answer["imageDetails"]
        return details[0] if details else None

    def _raw_manifest(self, identifier: Mapping[str, str]) -> tuple[str, str]:
        answer = self._ecr.batch_get_image(
            repositoryName=self.name, imageIds=[dict(identifier)], acceptedMediaTypes=list(MANIFEST_TYPES)
        )
        if not answer.get("images"):
            raise ImageNotFound(self.name, next(iter(identifier.values())))
        image = answer["images"][0]
        media_type = image.get("imageManifestMediaType") or json.loads(image["imageManifest"])["mediaType"]
        return str(image["imageManifest"]), str(media_type)

    def _manifest(self, identifier: Mapping[str, str]) -> tuple[dict[str, Any], str]:
        text, media_type = self._raw_manifest(identifier)
        return json.loads(text), media_type

    def _architectures(self, digest: str, manifest: Mapping[str, Any], media_type: str) -> dict[str, str]:
        if media_type in INDEX_TYPES:
            return dict(_entries(manifest))
        config = self._config(manifest)
        return {str(config.get("architecture", ATTESTATION)): digest} if config.get("os") == SYSTEM else {}

    def _config(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration that a manifest names. Raises DeploymentRefused if it cannot be read."""
        located = self._ecr.get_download_url_for_layer(
            repositoryName=self.name, layerDigest=manifest["config"]["digest"]
        )
        unreadable = (
            f"{self.name}: the configuration of an image cannot be read: build it under another tag with "
            "`make push TAG=sha-…-2`"
        )
        # The URL is signed and gives access to the layer; httpx2's own errors contain it.
        try:
            route = httpx2.HTTPTransport(proxy=proxy_for(located["downloadUrl"]))
            with httpx2.Client(transport=route, timeout=CONFIG_TIMEOUT, follow_redirects=True) as http:
                answer = http.get(located["downloadUrl"])
        except httpx2.HTTPError as error:
            raise DeploymentRefused(f"{unreadable}: {type(error).__name__}") from None
        if not answer.is_success:
            raise DeploymentRefused(f"{unreadable}: {answer.status_code}")
        return dict(answer.json())


def _entries(index: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for entry in index["manifests"]:
        platform = entry.get("platform") or {}
        architecture = platform.get("architecture", ATTESTATION)
        if platform.get("os") == SYSTEM and architecture != ATTESTATION:
            yield architecture, entry["digest"]


def _identifier(reference: str) -> dict[str, str]:
    return {"imageDigest": reference} if reference.startswith("sha256:") else {"imageTag": reference}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))
