"""The infrastructure on AWS, as CDK stacks. Everything about a table comes from its contract."""
