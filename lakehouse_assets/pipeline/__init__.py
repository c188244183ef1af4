"""One table's work, on any engine. Imports no dagster: it travels to Glue."""
