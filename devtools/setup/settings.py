"""The caller's settings that apply to the setup's calls of uv.

A setting is kept if it configures access to packages: index, proxy, certificates, cache, concurrency. A setting that
changes what is resolved or where it is installed belongs to the caller's project, not to this one. Settings that are
not listed here are dropped, so that a setting that a later uv adds cannot change the environments either.
"""

import ast
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEPT_VARIABLES = frozenset(
    {
        *("UV_CACHE_DIR", "UV_NO_CACHE", "UV_OFFLINE", "UV_LINK_MODE", "UV_LOCK_TIMEOUT"),
        *("UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "UV_INSECURE_HOST"),
        *("UV_HTTP_TIMEOUT", "UV_REQUEST_TIMEOUT", "UV_HTTP_CONNECT_TIMEOUT", "UV_HTTP_RETRIES"),
        *("UV_CONCURRENT_DOWNLOADS", "UV_CONCURRENT_BUILDS", "UV_CONCURRENT_INSTALLS", "UV_CONCURRENT_CACHE_READS"),
        *("UV_KEYRING_PROVIDER", "UV_CREDENTIALS_DIR", "UV_NO_PROGRESS", "UV_NO_WRAP"),
        *("UV_MALWARE_CHECK", "UV_MALWARE_CHECK_URL"),
    }
)
INDEX_VARIABLES = frozenset(
    {
        *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX_STRATEGY", "UV_FIND_LINKS"),
        *("UV_AUTH_TOKEN", "UV_API_KEY", "UV_S3_ENDPOINT_URL", "UV_GCS_ENDPOINT_URL", "UV_AZURE_ENDPOINT_URL"),
    }
)
INDEX_CREDENTIALS = re.compile(r"UV_INDEX_\w+_(USERNAME|PASSWORD)")
DROPPED = re.compile(r"UV(_.*)?|PIP_.*|PYTHON.*|VIRTUAL_ENV.*|CONDA_.*|_CE_.*")
"""Variables that configure uv, pip or Python, or name an activated environment."""

KEPT_KEYS = frozenset(
    {
        *("cache-dir", "no-cache", "offline", "link-mode"),
        *("system-certs", "native-tls", "allow-insecure-host", "http-proxy", "https-proxy", "no-proxy"),
        *("concurrent-downloads", "concurrent-builds", "concurrent-installs", "keyring-provider"),
    }
)
INDEX_KEYS = frozenset({"index", "index-url", "extra-index-url", "index-strategy", "find-links", "no-index"})

KEPT_BY_PIP = frozenset(
    {
        *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "keyring-provider"),
        *("cert", "client-cert", "proxy", "timeout", "default-timeout", "retries", "cache-dir", "no-cache-dir"),
    }
)


class BadSettings(Exception):
    """A configuration file of the caller cannot be read."""


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables without any setting of uv, pip or Python."""
    return {name: value for name, value in environ.items() if not DROPPED.fullmatch(name)}


def uv_variables(environ: Mapping[str, str], *, index: bool = True) -> dict[str, str]:
    """Return the caller's uv variables that are kept. Variables about indexes are kept only with `index`."""

    def is_kept(name: str) -> bool:
        of_index = name in INDEX_VARIABLES or INDEX_CREDENTIALS.fullmatch(name) is not None
        return name in KEPT_VARIABLES or (index and of_index)

    return {name: value for name, value in environ.items() if value and is_kept(name)}


def uv_configuration(environ: Mapping[str, str], *, index: bool = True) -> dict[str, Any]:
    """Return the kept settings of the caller's uv.toml files.

    As in uv, the user's settings override the machine's, and lists are joined.
    """
    kept = KEPT_KEYS | INDEX_KEYS if index else KEPT_KEYS
    merged: dict[str, Any] = {}
    for path in _configuration_files(environ):
        for key, value in _read(path).items():
            if key in kept:
                both_lists = isinstance(value, list) and isinstance(merged.get(key), list)
                merged[key] = [*value, *merged[key]] if both_lists else value
    return merged


def has_mirror(variables: Mapping[str, str], configuration: Mapping[str, Any], locked: str) -> bool:
    """Return whether the caller's default index differs from the `locked` one, or is disabled."""
    indexes = configuration.get("index", [])
    defaults = [
        variables.get("UV_DEFAULT_INDEX"),
        variables.get("UV_INDEX_URL"),
        configuration.get("index-url"),
        *(each.get("url") for each in indexes if isinstance(each, dict) and each.get("default")),
    ]
    return bool(configuration.get("no-index")) or any(each and each.rstrip("/") != locked for each in defaults)


def to_toml(configuration: Mapping[str, Any]) -> str:
    """Return settings as TOML: booleans, numbers, text, and lists and tables of them."""
    return "".join(f"{key} = {_value(value)}\n" for key, value in configuration.items())


def pip_variables(listing: str) -> dict[str, str]:
    """Return pip's settings that are kept, as variables. `listing` is the output of `pip config list`.

    A command's section overrides `global`, and a variable overrides both.
    """
    found: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        for line in listing.splitlines():
            name, _, value = line.partition("=")
            prefix, _, key = name.rpartition(".")
            if prefix == section and key in KEPT_BY_PIP:
                found[pip_variable(key)] = " ".join(ast.literal_eval(value).split())
    return found


def pip_variable(key: str) -> str:
    """Return the name of pip's variable for a setting."""
    return f"PIP_{key.upper().replace('-', '_')}"


def _configuration_files(environ: Mapping[str, str]) -> list[Path]:
    """Return uv's configuration files of the machine and the user, lowest priority first.

    UV_CONFIG_FILE replaces them.
    """
    if environ.get("UV_CONFIG_FILE"):
        return [Path(environ["UV_CONFIG_FILE"])]
    if _is_set(environ, "UV_NO_CONFIG"):
        return []
    home = environ.get("HOME")
    user = environ.get("XDG_CONFIG_HOME") or (home and f"{home}/.config")
    machine = [*(environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"), "/etc"]
    of_machine = [path for each in machine if each and (path := Path(each, "uv", "uv.toml")).is_file()]
    of_user = [path for each in [user] if each and (path := Path(each, "uv", "uv.toml")).is_file()]
    return [*([] if _is_set(environ, "UV_NO_SYSTEM_CONFIG") else of_machine[:1]), *of_user]


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() not in ("", "0", "false", "f", "no", "n", "off")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadSettings(f"cannot read uv's configuration {path}: {error}") from error


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
