"""Metrics, the health of a VAE, verdicts, and the HTML report."""
