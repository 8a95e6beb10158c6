"""The operations of `dynamo-provision` over HTTP, and Mobius's resources: no logic of its own about fleets."""
