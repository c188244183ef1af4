"""The ``lakehouse`` loggers: text for people or JSON for machines, set up in one place."""

from __future__ import annotations

import logging.config
from typing import Any

from resources.settings import LogFormat, LogLevel, Settings


def configure(settings: Settings, default: LogLevel = LogLevel.INFO) -> None:
    """Let the ``lakehouse`` loggers write to standard error, as the settings say.

    Who comes first in a process decides: the command line loads the code location later.
    """
    if logging.getLogger("lakehouse").handlers:
        return
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"chosen": _FORMATTERS[settings.log_format]()},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chosen"}},
            "loggers": {
                "lakehouse": {
                    "level": str(settings.log_level or default),
                    "handlers": ["stderr"],
                    "propagate": False,
                }
            },
        }
    )


def _text() -> dict[str, Any]:
    return {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}


def _json() -> dict[str, Any]:
    import structlog  # noqa: PLC0415 - only who asks for JSON pays for it

    return {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    }


_FORMATTERS = {LogFormat.TEXT: _text, LogFormat.JSON: _json}
