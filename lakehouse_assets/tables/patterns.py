"""Regular expressions that Spark (Java), Sail and DuckDB (Rust, RE2) and Python read alike."""

from __future__ import annotations

import re
from typing import Final

_ESCAPED: Final = r"\\[\\.^$*+?()\[\]{}|/-]"
_CHARACTER: Final = r"[^\\.^$*+?()\[\]{}|\n]"
_MEMBER: Final = rf"(?:{_ESCAPED}|[^\\\[\]^&~\n-])"
_CLASS: Final = rf"\[\^?(?:{_MEMBER}(?:-{_MEMBER})?)+\]"
_ATOM: Final = rf"(?:{_ESCAPED}|{_CHARACTER}|{_CLASS})"
_REPEATED: Final = r"(?:[*+?]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\})?"
_SAFE: Final = re.compile(rf"(?:{_ATOM}{_REPEATED}|\((?:\?:)?|\){_REPEATED}|\|)+")


def problem(pattern: str) -> str | None:
    r"""Why engines may read a pattern differently, or not at all; None where they do not.

    Characters, ranges such as ``[A-Za-z0-9_]``, groups, ``|`` and repetitions are alike everywhere.
    Classes such as ``\d`` and ``.`` are not (of other scripts, of line ends), nor what looks
    around; anchors are not needed, as the whole text must match.
    """
    found = _SAFE.match(pattern)
    end = found.end() if found else 0
    if not found or end < len(pattern):
        return (
            f"pattern {pattern!r} cannot be read alike by all engines from {pattern[end:]!r} on; "
            "use characters, ranges such as [A-Za-z0-9_], groups, | and repetitions, and escape "
            "others by \\; the whole text must match, without ^ and $"
        )
    try:
        re.compile(pattern)
    except re.error as error:
        return f"pattern {pattern!r} cannot be read: {error}; correct it"
    return None
