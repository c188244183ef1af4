"""A job's checks as Dagster's events."""

from __future__ import annotations

from typing import Any, Final

import dagster as dg

from lakehouse_assets.pipeline.result import Check, Severity

SEVERITIES: Final = {
    Severity.WARN: dg.AssetCheckSeverity.WARN,
    Severity.ERROR: dg.AssetCheckSeverity.ERROR,
}


def evaluation(asset: dg.AssetKey, check: Check, target: Any = None) -> dg.AssetCheckEvaluation:
    """The outcome of a check, at its batch date; ``target`` names the materialization it judges."""
    return dg.AssetCheckEvaluation(
        asset_key=asset,
        check_name=check.name,
        partition=check.day.isoformat() if check.day else None,
        passed=check.passed,
        severity=SEVERITIES[check.severity],
        description=check.description,
        metadata=check.metadata,
        target_materialization_data=target,
    )
