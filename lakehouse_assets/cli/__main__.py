"""``python -m lakehouse_assets.cli``."""

from lakehouse_assets.cli import main

main()
