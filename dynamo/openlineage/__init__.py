"""Telling OpenLineage servers, or a file, what runs do: stored with each step, sent later, at least once."""
