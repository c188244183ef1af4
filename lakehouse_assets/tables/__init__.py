"""What each table is: contracts, rules, and what follows from them."""
