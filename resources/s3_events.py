"""Messages that say that something arrived in the raw zone: hints, never the truth.

S3 tells EventBridge, which puts a message into an SQS queue. A lost, repeated or broken one
does no harm: what is there is always listed.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

from resources.aws import client

_log = logging.getLogger(__name__)

_MOST = 1_000
"""Messages taken in one go: the look that follows answers them all, those left behind too."""


@dataclass(frozen=True)
class Hints:
    """Received messages by what they are known by to the queue."""

    handles: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.handles)


@dataclass(frozen=True)
class Queue:
    """An SQS queue of such messages. Without a URL there are never any.

    A queue that cannot be asked is told of in one line, and counts as silent.
    """

    url: str | None

    def receive(self) -> Hints:
        """What waits in the queue, without waiting for more. Broken messages are removed."""
        if self.url is None:
            return Hints()
        handles: list[str] = []
        try:
            while len(handles) < _MOST and (some := self._receive_some()):
                handles += some
        except _errors() as error:
            self._tell(error)
        return Hints(tuple(handles))

    def delete(self, hints: Hints) -> None:
        """Remove messages that a look has answered."""
        try:
            self._delete(hints.handles)
        except _errors() as error:
            self._tell(error)

    def _receive_some(self) -> list[str]:
        answer = _sqs().receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
        good: list[str] = []
        broken: list[str] = []
        for message in answer.get("Messages", ()):
            handles = good if _is_json(message["Body"]) else broken
            handles.append(message["ReceiptHandle"])
            if handles is broken:
                _log.warning(
                    "%s: message %s is no JSON; removed (the raw zone is listed anyway)",
                    self.url,
                    message["MessageId"],
                )
        self._delete(broken)
        return good

    def _delete(self, handles: tuple[str, ...] | list[str]) -> None:
        for start in range(0, len(handles), 10):
            entries = [
                {"Id": str(i), "ReceiptHandle": handle}
                for i, handle in enumerate(handles[start : start + 10])
            ]
            _sqs().delete_message_batch(QueueUrl=self.url, Entries=entries)

    def _tell(self, error: Exception) -> None:
        _log.warning(
            "%s: cannot be asked (%s); check LAKEHOUSE_QUEUE_URL and the permission to receive "
            "and delete; the raw zone is listed all the same",
            self.url,
            error,
        )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _errors() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only on AWS

    return BotoCoreError, ClientError


def _sqs() -> Any:
    # A queue that does not answer must not keep the sensor from listing.
    return client("sqs", patient=False)
