"""Where a publication is: in a folder, or below a prefix of an S3 bucket; read the same way."""
