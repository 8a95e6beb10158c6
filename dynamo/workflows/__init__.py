"""The workflow document, its expansion, cost model, clustering and Pegasus form."""
