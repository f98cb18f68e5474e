"""Search for the widths and tables of a circuit within a budget (docs/search.md)."""
