"""Amazon ECR for deployments by tag: images by tag and digest, immutable tags, scan findings.

The embedded AWS cannot be used: it accepts the same tag twice, and supports neither exceptions from immutable tags nor
scans.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatch
from typing import Any

from fake_ecs.arns import Arns
from fake_ecs.errors import ApiError, invalid
from fake_ecs.timing import Clock

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
DEFAULT_MEDIA_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
PART_BYTES = 10 * 1024 * 1024

Json = dict[str, Any]


@dataclass(kw_only=True)
class StoredImage:
    digest: str
    manifest: str
    media_type: str
    pushed_at: datetime
    tags: list[str] = field(default_factory=list)
    findings: dict[str, int] | None = None
    """Findings by severity; None if the image was not scanned. Only images are scanned, not indexes."""
    scan: str = "COMPLETE"
    """Status of the scan, of ECR's enumeration `ScanStatus`."""


@dataclass(kw_only=True)
class Repository:
    name: str
    settings: Json
    images: dict[str, StoredImage] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    policy: Json = field(default_factory=dict)
    """Lifecycle policy."""

    def find(self, image_id: Mapping[str, str]) -> StoredImage | None:
        digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
        for image in self.images.values():
            if (digest is None or image.digest == digest) and (tag is None or tag in image.tags):
                return image
        return None

    def is_immutable(self, tag: str) -> bool:
        mutability = self.settings.get("imageTagMutability", "MUTABLE")
        excluded = any(
            fnmatch(tag, each["filter"]) for each in self.settings.get("imageTagMutabilityExclusionFilters", ())
        )
        return mutability == "IMMUTABLE" or (mutability == "IMMUTABLE_WITH_EXCLUSION" and not excluded)


def expired(policy: Json, images: list[StoredImage], now: datetime) -> list[str]:
    """Return the digests that a lifecycle policy expires.

    An image that a rule matches is not expired by a rule of a lower priority. Images of an index stay with the index.
    """
    parts = {
        part["digest"]
        for image in images
        if image.media_type in INDEXES
        for part in json.loads(image.manifest)["manifests"]
    }
    left = sorted(
        (image for image in images if image.digest not in parts), key=lambda image: image.pushed_at, reverse=True
    )
    gone: list[str] = []
    for rule in sorted(policy.get("rules", ()), key=lambda rule: rule["rulePriority"]):
        selection = rule["selection"]
        matched = [image for image in left if _is_selected(selection, image)]
        if selection["countType"] == "imageCountMoreThan":
            gone += [image.digest for image in matched[selection["countNumber"] :]]
        else:
            oldest = now - timedelta(days=selection["countNumber"])
            gone += [image.digest for image in matched if image.pushed_at < oldest]
        left = [image for image in left if image not in matched]
    return gone


def _is_selected(selection: Json, image: StoredImage) -> bool:
    if selection["tagStatus"] == "untagged":
        return not image.tags
    return all(any(fnmatch(tag, pattern) for tag in image.tags) for pattern in selection["tagPatternList"])


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Registry:
    name = "ecr"

    def __init__(self, arns: Arns, clock: Clock, blob_url: str) -> None:
        """Create an empty registry. The download URL of a layer is `{blob_url}/{digest}`."""
        self.lock = threading.RLock()
        self._arns = arns
        self._clock = clock
        self._blob_url = blob_url
        self._repositories: dict[str, Repository] = {}

    def blob(self, digest: str) -> bytes | None:
        with self.lock:
            return next((each.blobs[digest] for each in self._repositories.values() if digest in each.blobs), None)

    def set_findings(
        self, repository: str, digest: str, findings: Mapping[str, int] | None, status: str = "COMPLETE"
    ) -> None:
        """Set the scan of an image: findings by severity, None means not scanned; and its status. Raises ApiError."""
        with self.lock:
            image = self._find(self._repository({"repositoryName": repository}), {"imageDigest": digest})
            image.findings, image.scan = None if findings is None else dict(findings), status

    def expire(self, repository: str) -> None:
        """Remove the images that the lifecycle policy of a repository expires. Raises ApiError."""
        with self.lock:
            found = self._repository({"repositoryName": repository})
            for digest in expired(found.policy, list(found.images.values()), self._clock()):
                del found.images[digest]

    def put_lifecycle_policy(self, request: Json) -> Json:
        repository = self._repository(request)
        repository.policy = json.loads(request["lifecyclePolicyText"])
        return {"repositoryName": repository.name, "lifecyclePolicyText": request["lifecyclePolicyText"]}

    def create_repository(self, request: Json) -> Json:
        name = request["repositoryName"]
        if name in self._repositories:
            raise ApiError("RepositoryAlreadyExistsException", f"The repository with name '{name}' already exists.")
        settings = {key: each for key, each in request.items() if key.startswith("image")}
        self._repositories[name] = Repository(name=name, settings=settings)
        return {"repository": self._describe(self._repositories[name])}

    def put_image(self, request: Json) -> Json:
        repository = self._repository(request)
        manifest, tag = request["imageManifest"], request.get("imageTag")
        digest = sha256(manifest.encode())
        if request.get("imageDigest", digest) != digest:
            raise ApiError("ImageDigestDoesNotMatchException", "The digest does not match the image manifest.")
        content = self._parse(manifest)
        known, tagged = repository.images.get(digest), repository.find({"imageTag": tag}) if tag else None
        if known is not None and (tag is None or tagged is known):
            raise ApiError("ImageAlreadyExistsException", f"Image '{digest}' with tag '{tag}' already exists.")
        missing = [each["digest"] for each in content.get("manifests", ()) if each["digest"] not in repository.images]
        if missing:
            raise ApiError("ReferencedImagesNotFoundException", f"The images {', '.join(missing)} do not exist.")
        if tag is not None and tagged is not None:
            if repository.is_immutable(tag):
                raise ApiError("ImageTagAlreadyExistsException", f"The image tag '{tag}' exists and is immutable.")
            tagged.tags.remove(tag)
        media_type = request.get("imageManifestMediaType") or content.get("mediaType") or DEFAULT_MEDIA_TYPE
        is_scanned = repository.settings.get("imageScanningConfiguration", {}).get("scanOnPush", False)
        findings: dict[str, int] | None = {} if is_scanned and media_type not in INDEXES else None
        new = StoredImage(
            digest=digest, manifest=manifest, media_type=media_type, pushed_at=self._clock(), findings=findings
        )
        image = repository.images.setdefault(digest, new)
        if tag:
            image.tags.append(tag)
        return {"image": self._image(repository, image, {"imageTag": tag} if tag else {})}

    def batch_get_image(self, request: Json) -> Json:
        repository = self._repository(request)
        images, failures = [], []
        for image_id in request["imageIds"]:
            image = repository.find(image_id)
            if image is None:
                reason = "Requested image not found"
                failures.append({"imageId": image_id, "failureCode": "ImageNotFound", "failureReason": reason})
            else:
                images.append(self._image(repository, image, image_id))
        return {"images": images, "failures": failures}

    def describe_images(self, request: Json) -> Json:
        repository = self._repository(request)
        wanted = request.get("imageIds")
        images = list(repository.images.values()) if wanted is None else [self._find(repository, i) for i in wanted]
        return {"imageDetails": [self._detail(repository, image) for image in images]}

    def describe_image_scan_findings(self, request: Json) -> Json:
        repository = self._repository(request)
        image = self._find(repository, request["imageId"])
        if image.findings is None:
            raise ApiError("ScanNotFoundException", f"Image scan does not exist for the image '{image.digest}'.")
        return {
            "registryId": self._arns.account,
            "repositoryName": repository.name,
            "imageId": {"imageDigest": image.digest},
            "imageScanStatus": {"status": image.scan},
            "imageScanFindings": {"findingSeverityCounts": image.findings, "imageScanCompletedAt": image.pushed_at},
        }

    def initiate_layer_upload(self, request: Json) -> Json:
        repository = self._repository(request)
        upload = f"upload-{len(repository.uploads)}"
        repository.uploads[upload] = b""
        return {"uploadId": upload, "partSize": PART_BYTES}

    def upload_layer_part(self, request: Json) -> Json:
        repository, upload = self._upload(request)
        repository.uploads[upload] += base64.b64decode(request["layerPartBlob"])
        return {"uploadId": upload, "lastByteReceived": request["partLastByte"]}

    def complete_layer_upload(self, request: Json) -> Json:
        repository, upload = self._upload(request)
        content = repository.uploads[upload]
        digest = sha256(content)
        if request["layerDigests"] != [digest]:
            raise ApiError("InvalidLayerException", f"The layer's digest is '{digest}'.")
        if digest in repository.blobs:
            raise ApiError("LayerAlreadyExistsException", f"Layer '{digest}' already exists.")
        repository.blobs[digest] = content
        return {"uploadId": upload, "layerDigest": digest}

    def get_download_url_for_layer(self, request: Json) -> Json:
        digest = request["layerDigest"]
        if digest not in self._repository(request).blobs:
            raise ApiError("LayersNotFoundException", f"Layer '{digest}' does not exist.")
        return {"downloadUrl": f"{self._blob_url}/{digest}", "layerDigest": digest}

    def _repository(self, request: Mapping[str, Any]) -> Repository:
        name = request["repositoryName"]
        if name not in self._repositories:
            raise ApiError("RepositoryNotFoundException", f"The repository with name '{name}' does not exist.")
        return self._repositories[name]

    def _find(self, repository: Repository, image_id: Mapping[str, str]) -> StoredImage:
        image = repository.find(image_id)
        if image is None:
            raise ApiError("ImageNotFoundException", f"The image with imageId {dict(image_id)} does not exist.")
        return image

    def _upload(self, request: Mapping[str, Any]) -> tuple[Repository, str]:
        repository, upload = self._repository(request), request["uploadId"]
        if upload not in repository.uploads:
            raise ApiError("UploadNotFoundException", f"The upload '{upload}' does not exist.")
        return repository, upload

    def _parse(self, manifest: str) -> Json:
        try:
            return dict(json.loads(manifest))
        except ValueError as error:
            raise invalid("The image manifest is not JSON.") from error

    def _describe(self, repository: Repository) -> Json:
        return {
            "repositoryName": repository.name,
            "repositoryArn": self._arns.of("ecr", f"repository/{repository.name}"),
            "repositoryUri": f"{self._arns.account}.dkr.ecr.{self._arns.region}.amazonaws.com/{repository.name}",
            "registryId": self._arns.account,
            **repository.settings,
        }

    def _image(self, repository: Repository, image: StoredImage, asked: Mapping[str, str]) -> Json:
        return {
            "registryId": self._arns.account,
            "repositoryName": repository.name,
            "imageId": {**asked, "imageDigest": image.digest},
            "imageManifest": image.manifest,
            "imageManifestMediaType": image.media_type,
        }

    def _detail(self, repository: Repository, image: StoredImage) -> Json:
        detail: Json = {
            "registryId": self._arns.account,
            "repositoryName": repository.name,
            "imageDigest": image.digest,
            "imageSizeInBytes": len(image.manifest),
            "imagePushedAt": image.pushed_at,
            "imageManifestMediaType": image.media_type,
        }
        if image.tags:
            detail["imageTags"] = list(image.tags)
        if image.findings is not None:
            detail["imageScanStatus"] = {"status": image.scan}
            detail["imageScanFindingsSummary"] = {"findingSeverityCounts": image.findings}
        return detail
