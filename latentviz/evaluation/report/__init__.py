"""The evaluation as one HTML file: opens by double-click, asks the network for nothing, and runs no script."""

from latentviz.evaluation.report.html import render, write_report

__all__ = ["render", "write_report"]
