"""Engine `pegasus`: runs planned by pegasus-plan."""
