"""Gold tables: one module each."""
