"""Shared by all user-written documents: reading JSON, YAML and TOML, and reporting problems in them."""
