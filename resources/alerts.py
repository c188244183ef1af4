"""Where messages for people go: SNS topics, or the log."""

from __future__ import annotations

import logging

import dagster as dg

from lakehouse_assets.ports import Alerts, Message, Topic
from resources.aws import clear_errors, client
from resources.settings import Settings

_LONGEST_SUBJECT = 99

_log = logging.getLogger("lakehouse.alerts")


class LogAlerts(dg.ConfigurableResource["LogAlerts"]):
    """Messages in the log: a success as information, everything else as a warning."""

    ui_url: str

    def send(self, message: Message) -> None:
        """Log one."""
        level = logging.INFO if message.topic is Topic.SUCCESS else logging.WARNING
        text = "\n".join([message.subject, _text(message, self.ui_url)])
        _log.log(level, text, extra={"topic": str(message.topic), "run_id": message.run_id})


class SnsAlerts(dg.ConfigurableResource["SnsAlerts"]):
    """A topic for each kind of message, whose ARN is ``topics`` with ``-<kind>`` added."""

    topics: str
    ui_url: str

    def send(self, message: Message) -> None:
        """Publish one. Raises AwsError."""
        topic = f"{self.topics}-{message.topic}"
        with clear_errors(f"SNS topic {topic}"):
            client("sns", region=topic.split(":")[3]).publish(
                TopicArn=topic,
                Subject=_subject(message),
                Message=_text(message, self.ui_url),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in (("topic", str(message.topic)), ("run_id", message.run_id))
                    if value
                },
            )


def alerts(settings: Settings) -> Alerts:
    """What the settings name."""
    if settings.sns_topics:
        return SnsAlerts(topics=settings.sns_topics, ui_url=settings.ui_url)
    return LogAlerts(ui_url=settings.ui_url)


def _subject(message: Message) -> str:
    # SNS takes printable ASCII, fewer than 100 characters of it.
    return message.subject.encode("ascii", "replace").decode()[:_LONGEST_SUBJECT]


def _text(message: Message, ui_url: str) -> str:
    at = f"{ui_url.rstrip('/')}/runs/{message.run_id}" if message.run_id else ui_url
    return "\n".join([*message.lines, at])
