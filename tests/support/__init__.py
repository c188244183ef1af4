"""What several test modules use; no test is in here."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[2]
"""The checkout."""
SAMPLE: Final = PROJECT / "data" / "sample"

Once = Callable[[str, Callable[[Path], object]], Path]
"""Has a folder of this name made, and tells where it is: see the fixture ``once``."""
