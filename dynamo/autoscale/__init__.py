"""How much capacity is wanted where and when: demand, policies that answer it, and the decisions that are stored."""
