"""Measurements that print ratios. Nothing here is a test: machines differ, ratios in one run less so."""
