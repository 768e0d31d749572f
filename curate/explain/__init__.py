"""Explain a finished run: why a record is where it is, how thresholds cut, what the pages say."""
