"""The operations of `dynamo-provision` over HTTP, and Mobius's resources; the fleet logic is elsewhere."""
