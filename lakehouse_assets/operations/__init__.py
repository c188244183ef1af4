"""What people and the clock do with a lake: land, decide, export, restore, archive, maintain."""
