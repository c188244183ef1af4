"""What several test modules use; no test is in here."""

from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[2]
"""The checkout."""
SAMPLE: Final = PROJECT / "data" / "sample"
