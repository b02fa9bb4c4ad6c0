"""Push small but complete images: a config with labels, a manifest per platform, and an index."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fake_ecs.registry import INDEXES, sha256

INDEX = INDEXES[0]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
REVISION_LABEL = "org.opencontainers.image.revision"
PLATFORMS = ("arm64", "amd64")


def push_image(
    ecr: Any, repository: str, tag: str, *, labels: Mapping[str, str], platforms: Sequence[str] = PLATFORMS
) -> str:
    """Push an image for these platforms and return the digest of its index. `ecr` is a boto3 client.

    The same labels and platforms give the same image. Parts that exist already are kept.
    """
    manifests = [_push_platform(ecr, repository, labels, platform) for platform in platforms]
    index = _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": dict(labels)})
    _put(ecr, repository, index, INDEX, tag)
    return sha256(index.encode())


def tag_image(ecr: Any, repository: str, tag: str, digest: str) -> None:
    """Move a tag to an existing image."""
    found = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])["images"][0]
    _put(ecr, repository, found["imageManifest"], found["imageManifestMediaType"], tag)


def _push_platform(ecr: Any, repository: str, labels: Mapping[str, str], platform: str) -> dict[str, object]:
    config = _json({"architecture": platform, "os": "linux", "config": {"Labels": dict(labels)}, "rootfs": {}}).encode()
    _push_blob(ecr, repository, config)
    descriptor = {"mediaType": CONFIG, "digest": sha256(config), "size": len(config)}
    manifest = _json({"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor, "layers": []})
    _put(ecr, repository, manifest, MANIFEST, None)
    return {
        "mediaType": MANIFEST,
        "digest": sha256(manifest.encode()),
        "size": len(manifest),
        "platform": {"os": "linux", "architecture": platform},
    }


def _push_blob(ecr: Any, repository: str, content: bytes) -> None:
    upload = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    ecr.upload_layer_part(
        repositoryName=repository,
        uploadId=upload,
        partFirstByte=0,
        partLastByte=len(content) - 1,
        layerPartBlob=content,
    )
    try:
        ecr.complete_layer_upload(repositoryName=repository, uploadId=upload, layerDigests=[sha256(content)])
    except ecr.exceptions.LayerAlreadyExistsException:
        return


def _put(ecr: Any, repository: str, manifest: str, media_type: str, tag: str | None) -> None:
    named = {} if tag is None else {"imageTag": tag}
    try:
        ecr.put_image(repositoryName=repository, imageManifest=manifest, imageManifestMediaType=media_type, **named)
    except ecr.exceptions.ImageAlreadyExistsException:
        return


def _json(content: object) -> str:
    return json.dumps(content, separators=(",", ":"))
