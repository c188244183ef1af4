"""A server in the way of another, which keeps every request that goes through it."""

from __future__ import annotations

from tests.support.object_store import Handler, Proxy
from tests.support.recorded import Recorded


class Recorder(Proxy):
    """Passes everything on; ``recorded`` is what went through, in its order."""

    def __init__(self, upstream: int, handler: type[Handler] = Handler) -> None:
        super().__init__(upstream, handler)
        self.recorded: list[Recorded] = []

    def saw(self, request: Handler, body: bytes, status: int, answer: bytes) -> None:
        """Keep it."""
        self.recorded.append(Recorded.of(request, body, status, answer))
