"""The daemon of `dynamo-provision`: one loop a fleet."""
