"""What is there and what is known: the lake's zones and Delta tables, the ledger, the receipts."""
