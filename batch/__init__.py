"""The batch layer: not built yet."""
