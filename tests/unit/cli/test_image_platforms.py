"""Images of an index are chosen by their system and their architecture."""

from order_operations.deployments.ecr_repository import _entries


def test_an_image_for_another_system_is_not_the_tasks_image() -> None:
    platforms = [
        {"os": "linux", "architecture": "amd64"},
        {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348"},
        {"os": "unknown", "architecture": "unknown"},
        {"architecture": "arm64"},
        None,
    ]
    index = {"manifests": [{"digest": str(number), "platform": each} for number, each in enumerate(platforms)]}
    assert dict(_entries(index)) == {"amd64": "0"}
