"""Gold tables: one module each, with the contract and one SELECT over silver tables."""
