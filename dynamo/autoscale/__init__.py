"""How much capacity is needed, where and when: demand, scaling policies and stored decisions."""
