"""Measures dbrewind beside other ways to reset a SQLite database. Run with `make bench`."""
