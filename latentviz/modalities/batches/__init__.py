"""Batches of training items and their positives, shared by the data kinds."""
