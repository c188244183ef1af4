"""The Glue jobs: their script, their wheels, their definition."""
