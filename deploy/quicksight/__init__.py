"""Dashboards as QuickSight knows them, from the same definitions as the pages. Asks nothing."""
