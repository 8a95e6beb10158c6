"""Pegasus 5: catalogs and abstract workflows, written, read and checked."""
