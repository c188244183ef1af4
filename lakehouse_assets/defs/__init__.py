"""Everything Dagster: assets, checks, sensors, schedules, and what runs are told of."""
