"""Generated data: the generator (`python -m data.generate --help`) and its committed sample."""
