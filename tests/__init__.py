"""The tests: whatever several of them use is in ``tests.support``."""
