"""One module for each file format, which gives examples."""
