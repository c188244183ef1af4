"""Long suites, each started by hand: `python -m tests.torture.<name>`."""
