"""A dashboard as one HTML page, with its rows and what draws them: it asks no network."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from lakehouse_assets.dashboards.page_data import extent, is_cut, page_data, parts
from lakehouse_assets.dashboards.questions import Answered, Answers
from lakehouse_assets.dashboards.theme import FONT, variables
from lakehouse_assets.queries.named import named
from lakehouse_assets.tables.dashboard import Bars, Dashboard, Measure, RankedTable, Visual

if TYPE_CHECKING:
    from jinja2 import Template

MOST_BYTES: Final = 3_000_000
"""How heavy a page may be, with its data and what draws it."""

_SNIPPET: Final = "window.vegaEmbed = vegaEmbed;"
"""What of the bundled libraries the page's script is given."""
_NARROW_COLUMNS: Final = 4
"""A table of more takes the whole width."""
_SCRIPTS: Final = ("numbers.js", "rows.js", "shown.js", "page.js")
_WEB: Final = files("lakehouse_assets.dashboards") / "web"


def page(
    dashboard: Dashboard,
    answers: Answers,
    others: Iterable[Dashboard],
    stamp: str,
    drawn: datetime,
) -> str:
    """The whole page.

    ``others`` are those that it links to; ``stamp`` says what it was made of, ``drawn`` when (UTC).
    """
    data = json.dumps(page_data(dashboard, answers), separators=(",", ":"), ensure_ascii=False)
    # Nothing in it may end the element that it stands in.
    data = data.replace("<", "\\u003c")
    library, script = _in_element(_library()), _in_element(_script())
    return _template().render(
        stamp=stamp,
        drawn=f"{drawn:%Y-%m-%d %H:%M}",
        policy=_policy(library, script),
        dashboard=dashboard,
        others=list(others),
        extent=_extent(dashboard, answers),
        sections=list(_sections(dashboard, answers)),
        style=_style(),
        data=data,
        library=library,
        script=script,
    )


def _sections(dashboard: Dashboard, answers: Answers) -> Iterator[dict[str, Any]]:
    index = 0
    for section in dashboard.sections:
        told = []
        for visual in section.visuals:
            told.append(_told(visual, index, answers))
            index += 1
        yield {"title": section.title, "visuals": told}


def _told(visual: Visual, index: int, answers: Answers) -> dict[str, Any]:
    before = visual.before if isinstance(visual, Bars | RankedTable) else None
    asked = [answers.by_source[s] for s in (visual.source, before) if s]
    units = dict.fromkeys(part.unit for part in parts(visual) if isinstance(part, Measure))
    return {
        "kind": type(visual).__name__,
        "index": index,
        "title": visual.title,
        "note": visual.note,
        "wide": isinstance(visual, RankedTable) and _is_wide(visual),
        "unit": ", ".join(units) or "none: what is told of each row",
        "purpose": named(visual.source.query).purpose,
        "queries": [{"asked": _asked(answered), "sql": answered.query.sql} for answered in asked],
    }


def _is_wide(table: RankedTable) -> bool:
    return not table.turned and len([*parts(table)]) > _NARROW_COLUMNS


def _asked(answered: Answered) -> str:
    given = f" --param as_of={answered.as_of}" if answered.as_of else ""
    whole = f"lakehouse query --name {answered.source.query}{given}"
    taken = answered.query.sql != named(answered.source.query).sql
    return f"{whole}{', and of its answer:' if taken else ''}"


def _extent(dashboard: Dashboard, answers: Answers) -> str:
    first, last = extent(dashboard, answers)
    if not (first and last):
        return "There is nothing to show yet."
    before = (
        f"; there are earlier days, from {answers.first_day}" if is_cut(dashboard, answers) else ""
    )
    return f"Days {first} to {last}{before}."


def _policy(*scripts: str) -> str:
    """What the browser lets the page do: run these scripts, and ask nobody for anything."""
    hashes = (b64encode(sha256(script.encode()).digest()).decode() for script in scripts)
    own = " ".join(f"'sha256-{found}'" for found in hashes)
    return (
        f"default-src 'none'; script-src {own}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _in_element(script: str) -> str:
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


@cache
def _library() -> str:
    """Vega, Vega-Lite and vega-embed as one script."""
    import vl_convert  # noqa: PLC0415 - takes a second, and only who draws pays for it

    return f"(()=>{{{vl_convert.javascript_bundle(_SNIPPET)}}})();"


@cache
def _script() -> str:
    text = "\n".join((_WEB / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    return f'(()=>{{"use strict";\n{text}}})();'


@cache
def _style() -> str:
    light, dark = variables("light"), variables("dark")
    themes = (
        f":root{{--font:{FONT};color-scheme:light;{light}}}"
        "@media (prefers-color-scheme: dark)"
        f"{{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}"
        f"@media print{{:root,:root:not([data-theme=light]){{color-scheme:light;{light}}}}}"
    )
    return themes + (_WEB / "page.css").read_text(encoding="utf-8")


@cache
def _template() -> Template:
    import jinja2  # noqa: PLC0415 - only who draws pays for it

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string((_WEB / "page.html.j2").read_text(encoding="utf-8"))
