"""Write the script that pages load, from its npm package (`make vendored`, needs npm).

The script and its extension are joined in this order, because a page that loads them as two files sometimes never
opens its stream.
"""

import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "packages" / "order-pages" / "src" / "order_pages" / "static"
PACKAGE, VERSION = "htmx.org", "4.0.1"
PARTS = ("dist/htmx.min.js", "dist/ext/hx-sse.min.js")
BANNER = f"/*! htmx {VERSION} with its extension hx-sse, https://htmx.org, Zero-Clause BSD */\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        packed = json.loads(
            subprocess.check_output(["npm", "pack", "--json", f"{PACKAGE}@{VERSION}"], cwd=temporary, text=True)  # noqa: S607 - npm is found on the path
        )[0]
        with tarfile.open(Path(temporary, packed["filename"])) as archive:
            archive.extractall(temporary, filter="data")
        source = Path(temporary, "package")
        parts = [(source / part).read_bytes().rstrip(b"\n") + b"\n" for part in PARTS]
        licence = (source / "LICENSE").read_text(encoding="utf-8")
    script = BANNER.encode() + b"".join(parts)
    facts = {
        "package": PACKAGE,
        "version": VERSION,
        "integrity": packed["integrity"],
        "licence": "0BSD",
        "sha256": hashlib.sha256(script).hexdigest(),
        "parts": [
            {"file": name, "bytes": len(part), "sha256": hashlib.sha256(part).hexdigest()}
            for name, part in zip(PARTS, parts, strict=True)
        ],
    }
    (FOLDER / "htmx.js").write_bytes(script)
    (FOLDER / "htmx.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (FOLDER / "htmx.LICENSE").write_text(licence, encoding="utf-8")


if __name__ == "__main__":
    main()
