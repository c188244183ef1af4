"""The second shop's tables: `LAKEHOUSE_TABLES=tests.second_shop.tables`."""
