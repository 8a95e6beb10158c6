"""The command `dynamo-provision`: one file a group of commands."""
