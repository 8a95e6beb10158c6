"""Quality of radar data: which gates are weather (`screening`), and whether a sweep or grid is sound as a whole."""
