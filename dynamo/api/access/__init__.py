"""Who may do what: roles, users, sessions, budgets, and the audit of orders."""
