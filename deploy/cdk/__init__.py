"""The infrastructure: one CDK app, a set of stacks for each environment."""
