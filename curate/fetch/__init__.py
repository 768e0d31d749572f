"""Fetching documents again from where they were crawled: polite, safe and resumable."""
