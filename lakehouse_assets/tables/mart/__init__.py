"""The marts: a star schema over silver, one module a dimension or fact."""
