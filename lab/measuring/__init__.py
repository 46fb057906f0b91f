"""Texts written by the hundred, numbers of them, and what these show."""
