"""Ablations: grids of trainings under equal budgets, as independent cells that run anywhere and may be killed at any time."""
