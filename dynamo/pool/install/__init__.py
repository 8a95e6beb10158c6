"""Installation of HTCondor from Debian packages, with or without root."""
