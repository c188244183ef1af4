"""A shop in the shape of Olist's public data set: its contracts, its data, what must come of it."""
