"""The one scale of colours and sizes: of the page's style, and of charts in it and as pictures."""

from __future__ import annotations

from typing import Any, Final

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"

COLOURS: Final[dict[str, dict[str, str]]] = {
    "light": {
        "page": "#f5f6f8",
        "card": "#ffffff",
        "shade": "#aab2bd",
        "ink": "#1a2230",
        "quiet": "#55606f",
        "line": "#d9dde3",
        "accent": "#1f5fa8",
        "good": "#1b6e3c",
        "bad": "#a8321f",
        "weak": "#eaf1fb",
        "strong": "#1f5fa8",
        "on-strong": "#ffffff",
    },
    "dark": {
        "page": "#12161d",
        "card": "#1b212b",
        "shade": "#525d6e",
        "ink": "#e8ecf2",
        "quiet": "#a5b0bf",
        "line": "#343d4b",
        "accent": "#7fb2f0",
        "good": "#6fcf97",
        "bad": "#ff9d8a",
        "weak": "#243145",
        "strong": "#7fb2f0",
        "on-strong": "#10151c",
    },
}
"""By theme: what is written and what is behind it; text on either ground has a contrast of 4.5."""

SERIES: Final[dict[str, tuple[str, ...]]] = {
    "light": ("#1f5fa8", "#d07a1a", "#2f8f7f", "#a8457c", "#6a5aa8", "#8a8f2a", "#7b8794"),
    "dark": ("#7fb2f0", "#f0a95a", "#6fcdbd", "#e08fbd", "#b0a2ee", "#cfd46a", "#aab5c3"),
}
"""Colours that tell series apart, in their order; told apart by colour-blind people as well."""


def variables(theme: str) -> str:
    """The colours as custom properties of a style sheet."""
    return "".join(f"--{name}:{value};" for name, value in COLOURS[theme].items())


def config(theme: str) -> dict[str, Any]:
    """Vega's configuration: what charts look like."""
    colours, series = COLOURS[theme], list(SERIES[theme])
    text = {"labelColor": colours["quiet"], "titleColor": colours["quiet"]}
    return {
        "background": None,
        "font": FONT,
        "aria": False,  # the element around a chart says what is seen, and a table has its rows
        "view": {"stroke": None},
        "mark": {"color": series[0]},
        "text": {"fill": colours["ink"], "fontSize": 12},
        "rule": {"color": colours["line"]},
        "axis": {
            **text,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "domainColor": colours["line"],
            "tickColor": colours["line"],
            "gridColor": colours["line"],
            "gridOpacity": 0.6,
            "labelOverlap": True,
        },
        "legend": {
            **text,
            "labelFontSize": 12,
            "labelLimit": 0,
            "title": None,
            "orient": "top",
            "symbolSize": 90,
        },
        "range": {
            "category": series,
            "heatmap": [colours["weak"], colours["strong"]],
            "ramp": [colours["weak"], colours["strong"]],
        },
    }
