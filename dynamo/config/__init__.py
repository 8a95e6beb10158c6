"""The configuration file `dynamo.toml`: options, reader and manual page."""
