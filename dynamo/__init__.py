"""DyNamo: storm products from radar feeds, at the pace of the weather."""

__version__ = "0.1.0"
