"""The page's colours as a theme of QuickSight's."""

from __future__ import annotations

from deploy.quicksight.data_sets import Json
from deploy.quicksight.visuals import THEME, colour
from lakehouse_assets.dashboards.theme import SERIES

BASE = "CLASSIC"
"""The theme of QuickSight's own that decides what ours does not."""


def configuration() -> Json:
    """A theme's configuration, in the names of the API.

    https://docs.aws.amazon.com/quicksight/latest/APIReference/API_ThemeConfiguration.html
    """
    on_strong = colour("on-strong")
    return {
        "DataColorPalette": {
            "Colors": [series.upper() for series in SERIES[THEME]],
            "MinMaxGradient": [colour("weak"), colour("strong")],
            "EmptyFillColor": colour("line"),
        },
        "UIColorPalette": {
            "PrimaryForeground": colour("ink"),
            "PrimaryBackground": colour("card"),
            "SecondaryForeground": colour("quiet"),
            "SecondaryBackground": colour("page"),
            "Accent": colour("accent"),
            "AccentForeground": on_strong,
            "Success": colour("good"),
            "SuccessForeground": on_strong,
            "Danger": colour("bad"),
            "DangerForeground": on_strong,
        },
    }
