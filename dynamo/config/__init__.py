"""The configuration file `dynamo.toml`: its options, reading it, and its manual page."""
