"""The `dynamo-provision` command: one file per group of commands."""
