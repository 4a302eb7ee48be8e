"""The run folder: the only package that knows the names of its files."""
