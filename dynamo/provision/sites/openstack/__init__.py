"""Any OpenStack."""
