"""Readers that all data kinds share."""
