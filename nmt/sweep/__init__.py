"""Grids of runs: many recipes of one, trained side by side, compared on the validation set.

Imports nothing: what a wrong command is refused by is to be quick, see `nmt.sweep.grid`.
"""
