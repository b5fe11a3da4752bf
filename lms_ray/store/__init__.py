"""What is kept: files, one driver's lock, every table with its columns, writer and reader, provenance, status."""
