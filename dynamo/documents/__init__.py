"""What all documents of users share: reading JSON, YAML and TOML, and saying what is wrong in them."""
