"""Metrics: streaming, mergeable torchmetrics classes over pure functions."""
