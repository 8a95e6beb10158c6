"""Programs for those who work on DyNamo itself."""
