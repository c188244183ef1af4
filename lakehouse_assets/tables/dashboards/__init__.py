"""The dashboards: one module each, with a `DASHBOARD`."""
