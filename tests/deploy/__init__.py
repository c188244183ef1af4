"""The infrastructure, and what it deploys."""
