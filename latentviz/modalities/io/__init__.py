"""Readers that all data kinds share. What cannot be read raises a DataError that names the file and what is wrong."""
