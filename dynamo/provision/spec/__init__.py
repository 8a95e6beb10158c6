"""The fleet spec: one JSON, Mobius's names included, checked and read into models."""
