"""The daemon of `dynamo-provision`: one loop per fleet."""
