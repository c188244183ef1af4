"""Dashboards as pages: one definition each, the answers of named queries, and no server."""
