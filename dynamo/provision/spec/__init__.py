"""The fleet spec: one JSON document, Mobius's names included, checked and read into models."""
