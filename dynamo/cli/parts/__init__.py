"""Commands about the parts that runs are made of: modules, workflows, and what plugins add."""
