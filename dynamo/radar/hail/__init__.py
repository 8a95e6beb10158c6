"""Hail and hydrometeors from polarimetric moments and reflectivity columns; pure."""
