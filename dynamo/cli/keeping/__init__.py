"""What is kept: published products, refused files, retention."""
