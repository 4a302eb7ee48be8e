"""Vectors that users already have: embeddings, features, anything with one row of numbers per item."""
