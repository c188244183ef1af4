"""What deploys the lakehouse."""
