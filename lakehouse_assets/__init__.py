"""An e-commerce lakehouse as a Dagster code location: raw files to gold Delta tables."""
