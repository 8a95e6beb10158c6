"""Engines: execution of runs behind one small interface."""
