"""What the service keeps between requests, so that many viewers cost little more than one."""
