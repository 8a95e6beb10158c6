"""Commands about who may do what: users and the audit."""
