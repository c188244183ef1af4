"""The stacks, by lifetime: what outlives what. Each takes what it needs from those before it."""
