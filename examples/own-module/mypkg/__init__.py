"""Storm cells: an example of a package that adds a module to DyNamo."""
