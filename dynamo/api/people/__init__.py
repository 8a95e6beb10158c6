"""Routes of logins, users and the audit, and what researchers may order."""
