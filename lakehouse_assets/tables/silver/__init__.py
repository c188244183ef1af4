"""Datasets: one module each, with the contract of what its files hold and what silver is."""
