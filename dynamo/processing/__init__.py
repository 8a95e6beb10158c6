"""What a step computes from files: formats read, numerics called, product data returned."""
