"""A personal HTCondor pool on this machine."""
