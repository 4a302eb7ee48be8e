"""Vectors that people bring along: embeddings, features, anything with one row of numbers an item."""
