"""HTCondor's programs from Debian packages, with or without root."""
